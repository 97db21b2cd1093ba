/** Node's environment with the typed arrays of the process: onnxruntime-node takes and makes no others. */
import { TestEnvironment } from 'jest-environment-node';

export default class extends TestEnvironment {
  constructor(...args) {
    super(...args);
    for (const type of [Float64Array, Float32Array, BigInt64Array, Int32Array, Uint8Array, ArrayBuffer])
      this.global[type.name] = type;
  }
}
