import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import ts from 'typescript';

/** Files of `src` with the files of it that each imports, for its types alone too. */
function importsOf(src: string): Map<string, string[]> {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  return new Map(
    files.map((file) => {
      const { importedFiles } = ts.preProcessFile(readFileSync(join(src, file), 'utf8'));
      const own = importedFiles.filter(({ fileName }) => fileName.startsWith('.'));
      return [file, own.map(({ fileName }) => join(file, '..', fileName.replace(/\.js$/, '.ts')))];
    }),
  );
}

/** Groups of files of which each imports every other, perhaps through others of them (Tarjan 1972). */
function cyclesOf(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const index = new Map<string, number>();
  const lowest = new Map<string, number>();
  const open: string[] = [];
  const cycles: string[][] = [];
  const visit = (file: string): void => {
    index.set(file, index.size);
    lowest.set(file, index.get(file)!);
    open.push(file);
    for (const next of imports.get(file) ?? []) {
      if (!index.has(next)) visit(next);
      if (open.includes(next)) lowest.set(file, Math.min(lowest.get(file)!, lowest.get(next)!));
    }
    if (lowest.get(file) !== index.get(file)) return;
    const group = open.splice(open.indexOf(file));
    if (group.length > 1 || imports.get(file)?.includes(file)) cycles.push(group.sort());
  };
  for (const file of imports.keys()) if (!index.has(file)) visit(file);
  return cycles;
}

test('cycles are found', () => {
  const imports = { a: ['b'], b: ['c', 'd'], c: ['a'], d: ['e'], e: ['e'] };
  expect(cyclesOf(new Map(Object.entries(imports)))).toEqual([['e'], ['a', 'b', 'c']]);
});

test.each(['expr', 'tensorize', 'executor', 'model', 'train'])(
  'no files of @dag/%s import each other',
  (name) => {
    const imports = importsOf(fileURLToPath(new URL(`../../${name}/src`, import.meta.url)));
    expect(imports.size).toBeGreaterThan(10);
    expect(cyclesOf(imports)).toEqual([]);
  },
);
