import { createHash } from 'node:crypto';
import swc from '@swc/jest';

/**
 * Compiles TypeScript, and makes constants of each module of the globals that it may use. Tests run in a context of `node:vm`, where
 * every access to a global goes through an interceptor: drawing random numbers took twenty times as long.
 */
const globals = [
  'Math Number BigInt Infinity NaN Object String Symbol JSON RegExp Promise Error TypeError RangeError',
  'Array Map Set WeakMap ArrayBuffer DataView Float32Array Float64Array',
  'Int8Array Int32Array Uint8Array Uint16Array Uint32Array BigUint64Array',
];
const constants = globals
  .flatMap((names) => names.split(' '))
  .map((name) => `${name}=globalThis.${name}`)
  .join();

export default {
  createTransformer(options) {
    const compiler = swc.createTransformer(options);
    // On the first line of the module, so that lines of errors stay.
    const withConstants = (source) => `const ${constants};${source}`;
    return {
      ...compiler,
      process: (source, ...rest) => compiler.process(withConstants(source), ...rest),
      processAsync: (source, ...rest) => compiler.processAsync(withConstants(source), ...rest),
      getCacheKey: (source, ...rest) =>
        createHash('sha256')
          .update(constants)
          .update(compiler.getCacheKey(source, ...rest))
          .digest('hex'),
    };
  },
};
