/**
 * Resident memory over steps of varying lengths: `npx jiti bench/memory.ts [device]`, after a build, prints one JSON object. A step makes
 * twelve tensors of one length, up to 1,048,576 numbers, and frees them. `largest` is what a process of steps of that length alone
 * comes to, `varying` one of 5,000 steps of random lengths: resident MB in all, by how many the steps made it grow, and blocks that were
 * ever taken from the backend.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { add, memoryStats, scope, square, zeros, type Device, type Tensor } from '@dag/executor';

const TENSORS = 12;
const LARGEST = 2 ** 20;
const STEPS = 5000;

function step(length: number, device: Device): void {
  scope(() => {
    const made: Tensor[] = [zeros([length], { device })];
    while (made.length < TENSORS)
      made.push(made.length % 2 ? square(made.at(-1)!) : add(made.at(-1)!, made[0]!));
  });
}

function run(kind: string, device: Device): { total: number; grown: number; allocated: number } {
  step(1, device);
  const before = process.memoryUsage().rss / 2 ** 20;
  const steps = kind === 'varying' ? STEPS : 100;
  for (let i = 0, state = 1; i < steps; i++) {
    state = (state * 48271) % 0x7fffffff;
    step(kind === 'varying' ? 1 + (state % LARGEST) : LARGEST, device);
  }
  const total = process.memoryUsage().rss / 2 ** 20;
  return { total: Math.round(total), grown: Math.round(total - before), allocated: memoryStats().allocated };
}

const jiti = fileURLToPath(new URL('../node_modules/jiti/lib/jiti-cli.mjs', import.meta.url));
const [device = 'cpu', kind] = process.argv.slice(2) as [Device?, string?];
if (kind) console.log(JSON.stringify(run(kind, device)));
else {
  const [largest, varying] = ['largest', 'varying'].map(
    (of) =>
      JSON.parse(
        execFileSync(process.execPath, [jiti, fileURLToPath(import.meta.url), device, of], {
          encoding: 'utf8',
        }),
      ) as ReturnType<typeof run>,
  );
  const times = { total: varying!.total / largest!.total, grown: varying!.grown / largest!.grown };
  console.log(JSON.stringify({ device, largest, varying, times }, null, 2));
}
