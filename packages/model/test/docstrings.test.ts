import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import ts from 'typescript';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const ENTRIES = {
  expr: ['index.ts', 'mathjs.ts'],
  tensorize: ['index.ts'],
  executor: ['index.ts', 'wasm.ts'],
  model: ['index.ts'],
  train: ['index.ts'],
};

const { config } = ts.readConfigFile(`${root}/tsconfig.json`, ts.sys.readFile) as { config: object };
const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, root);
const fileOf = (name: string, entry: string): string => `${root}packages/${name}/src/${entry}`;
const program = ts.createProgram(
  Object.entries(ENTRIES).flatMap(([name, entries]) => entries.map((entry) => fileOf(name, entry))),
  options,
);

/** The names that a module exports, but for those of another package. */
function undocumented(file: string): string[] {
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(file)!)!;
  const names = checker.getExportsOfModule(module);
  expect(names.length).toBeGreaterThan(0);
  return names
    .filter((name) => {
      const symbol = name.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(name) : name;
      return symbol.getDocumentationComment(checker).length === 0;
    })
    .map((name) => name.name);
}

test.each(Object.entries(ENTRIES))('every name that @dag/%s exports has a docstring', (name, entries) => {
  const missing = entries.flatMap((entry) => undocumented(fileOf(name, entry)));
  expect(missing).toEqual([]);
});
