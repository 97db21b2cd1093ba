/** f32 matrix product 8192×256×1024: `npx jiti bench/matmul.ts`, after a build, prints one JSON object. */
import { matmul, noGrad, randn, scope } from '@dag/executor';

const REPEATS = 25;
const a = randn([8192, 256], { seed: [1, 1] });
const b = randn([256, 1024], { seed: [1, 2] });

const seconds = Array.from({ length: REPEATS + 5 }, () => {
  const begin = performance.now();
  scope(() => noGrad(() => matmul(a, b)).size);
  return (performance.now() - begin) / 1000;
});
console.log(JSON.stringify({ matmulSeconds: seconds.slice(5).toSorted((x, y) => x - y)[REPEATS >> 1] }));
