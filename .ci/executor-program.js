/** What .ci/check-install runs in a project that has @dag/executor: prints what it runs on, from two threads. */
import assert from 'node:assert/strict';
import { isMainThread, Worker } from 'node:worker_threads';
import { backendInfo, execute, executeWithGradients } from '@dag/executor';

// 2 · -3
const graph = {
  depth: 1,
  size: 1,
  V_mag: Float64Array.of(3, 0),
  V_sign: Float64Array.of(-1, 1),
  O: Float64Array.of(2, 0),
  G: Float64Array.of(1),
};
assert.deepEqual([...execute(graph)], [-6]);
const { values, V_mag, O } = executeWithGradients(graph);
assert.deepEqual([values[0], V_mag[0], O[0]], [-6, -2, -3]);
const { device, library } = backendInfo();
console.log(library === undefined ? device : `${device} ${library}`);

if (process.argv[2] === 'fail') throw new Error('thrown on purpose');
if (isMainThread) new Worker(new URL(import.meta.url));
