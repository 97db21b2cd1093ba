/** Tests run from the TypeScript sources; `npm test` builds first, for those that start workers, examples or the CLI. */
export default {
  roots: ['<rootDir>/packages', '<rootDir>/examples'],
  testMatch: ['**/test/**/*.test.ts', '<rootDir>/examples/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/(.*/)?dist/', '<rootDir>/(.*/)?runs/'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '<rootDir>/jest.transform.js',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  moduleNameMapper: {
    '^@dag/expr/(normalize|mathjs)$': '<rootDir>/packages/expr/src/$1.ts',
    '^@dag/tensorize/draw$': '<rootDir>/packages/tensorize/src/draw.ts',
    '^@dag/executor/(cuda|wasm)$': '<rootDir>/packages/executor/src/$1.ts',
    '^@dag/model/problems$': '<rootDir>/packages/model/src/problems.ts',
    '^@dag/train/browser$': '<rootDir>/packages/train/src/browser.ts',
    '^@dag/([a-z]+)$': '<rootDir>/packages/$1/src/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  setupFiles: ['<rootDir>/jest.seed.js'],
  setupFilesAfterEnv: ['<rootDir>/jest.equality.js'],
  reporters: ['default', '<rootDir>/jest.summary.js'],
  // Jest leaves a core for its watch mode; each test file is for the most part one thread.
  maxWorkers: '100%',
  // Modules of a test file stay in memory after it, with all that they hold.
  workerIdleMemoryLimit: '1GB',
  // Ends what hangs; no test is meant to be near it, also on a machine that is busy with other work.
  testTimeout: 180_000,
};
