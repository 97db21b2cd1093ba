import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import { serveHub } from './hub-server.js';

it('a download that the disk does not take is told so, and is not tried again', async () => {
  const file = (name: string) => readFileSync(new URL(`fixtures/gpt2/${name}`, import.meta.url));
  const files = new Map(['config.json', 'model.safetensors'].map((name) => [name, file(name)]));
  const server = await serveHub('openai-community/gpt2', files);
  const folder = mkdtempSync(join(tmpdir(), 'dag-full-'));
  try {
    const code = `
      import { createJiti } from 'jiti';
      const { loadGpt2 } = await createJiti(${JSON.stringify(import.meta.url)}, { fsCache: false }).import('../src/gpt2/load-gpt2.ts');
      await loadGpt2('gpt2', ${JSON.stringify({ hubUrl: server.url, cacheDir: folder })}).catch(({ message }) => console.log(message));`;
    // No file may have more than 16 blocks of 512 bytes or a kilobyte: less than the weights.
    const limited = 'ulimit -f 16; exec "$0" --input-type=module --eval "$1"';
    const child = spawn('sh', ['-c', limited, process.execPath, code], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    for await (const text of child.stdout) printed += String(text);
    expect(printed).toMatch(/^openai-community\/gpt2: the cache cannot be used \(EFBIG: .*Set HF_HUB_CACHE/);
    expect(server.requests.filter((request) => request.includes('/cdn/'))).toHaveLength(1);
  } finally {
    await server.close();
    rmSync(folder, { recursive: true });
  }
});
