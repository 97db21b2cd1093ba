/**
 * The code blocks of the READMEs, as a reader copies them: `ts` and `js` run from the built packages and print what their
 * comments say, `console` prints what stands under its commands. A block whose first line says `fragment` is checked against
 * types and options, and not run, for a reason that stands below.
 */
import { execFile, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
/** The pages that a package publishes, by their paths in it. */
const pagesOf = (name: string): string[] => {
  const docs = join(root, 'packages', name, 'docs');
  const pages = existsSync(docs) ? readdirSync(docs).map((page) => `docs/${page}`) : [];
  const cards =
    name === 'model' ? ['reading', 'problems', 'writing'].map((of) => `weights/${of}/README.md`) : [];
  return ['README.md', ...pages, ...cards];
};
const pages = ['expr', 'tensorize', 'executor', 'model', 'train'].flatMap((name) =>
  pagesOf(name).map((page) => [name, page] as const),
);
const readmes = [
  'README.md',
  ...pages.map(([name, page]) => `packages/${name}/${page}`),
  'bench/README.md',
  '.github/CONTRIBUTING.md',
  '.github/site/index.md',
  '.github/site/glossary.md',
];

/** Every fragment, by something that it says, and why the tests do not run it. */
const FRAGMENTS: Readonly<Record<string, string>> = {
  'PredictorModel.fetch(': 'in a page, from its server',
  'PredictorTraining(': 'in a page, for two minutes; the test of the playground trains so',
  "{ device: 'wasm', threads: 8 }": 'in a page',
  "import url from '@dag/executor/dag_executor.wasm'":
    'takes esbuild; the pages of packages/train are built so',
  "output: 'standalone'": 'takes Next.js',
  "loadWasm({ url: 'dag_executor.wasm' })": 'in a page; those of packages/train are built so',
  "device: 'cuda'": 'takes an NVIDIA GPU',
  "const dtype = 'bf16'": 'takes an NVIDIA GPU',
  'joinNccl({': 'takes NVIDIA GPUs and NCCL',
  OnnxPredictor: 'takes the optional package onnxruntime-node; run where it is installed',
  'DagGpt.load(readFileSync': 'what it writes changes with its weights',
  'loadGpt2(': 'downloads half a gigabyte',
  'declare class Network': 'leaves the network out; the example your-own-task has it',
  '> Take 7 from twice 12': 'a conversation on a terminal',
  'train train\nstep 25/2500': 'takes three minutes',
  'report runs/predictor-small': 'takes the folder of a run',
  'prepare node_modules/@dag': 'trains a language model',
  'two point five times three': 'takes a trained language model',
  'train train problems': 'takes forty minutes',
  'prepare --calculations': 'takes the texts of others, which are not here',
  'cv/fold$k': 'takes the sets of others, which are not here',
  mpirun: 'takes MPI; the example train-on-two-ranks runs it',
};

interface Block {
  /** README and line, for messages. */
  readonly where: string;
  readonly language: string;
  readonly isFragment: boolean;
  readonly code: string;
}

function blocksOf(readme: string): Block[] {
  const text = readFileSync(join(root, readme), 'utf8');
  return [...text.matchAll(/^```(\w+)( fragment)?\n([^]*?)^```$/gm)].map((match) => ({
    where: `${readme}:${text.slice(0, match.index).split('\n').length}`,
    language: match[1]!,
    isFragment: match[2] !== undefined,
    code: match[3]!,
  }));
}

/** What a program prints to stdout, whatever its exit code. */
const outputOf = async (file: string, args: readonly string[], cwd = root): Promise<string> => {
  const { stdout } = await promisify(execFile)(file, args, { cwd }).catch(
    (error: { stdout?: string }) => error,
  );
  return stdout ?? '';
};

const dag = join(root, 'packages/train/bin/dag.js');
const blocks = readmes.flatMap(blocksOf);
const fragments = blocks.filter(({ isFragment }) => isFragment);
const scripts = blocks.filter(({ language }) => language === 'ts' || language === 'js');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dag-readmes-'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
});

afterAll(() => rmSync(folder, { recursive: true }));

const without = (text: string, blanks: RegExp) => text.replace(blanks, '');

/** Of each `console.log(…); // …` of a program its comment, with those that fill the lines after it; '' without one. */
function expectedOutputs(code: string): string[] {
  return [...code.matchAll(/^.*console\.log\(.*\);(?: \/\/ (.*))?((?:\n\/\/ .*)*)$/gm)].map(
    ([, comment = '', more]) => comment + more!.replaceAll('\n//', '\n'),
  );
}

test('a fragment is listed with the reason why it is not run, and nothing else is listed', () => {
  const listed = Object.keys(FRAGMENTS);
  const unlisted = fragments.filter(({ code }) => !listed.some((part) => code.includes(part)));
  expect(unlisted.map(({ where }) => where)).toEqual([]);
  expect(listed.filter((part) => !fragments.some(({ code }) => code.includes(part)))).toEqual([]);
});

test('blocks of TypeScript and JavaScript run, and print what their comments say', () => {
  const hasOnnxruntime = existsSync(join(root, 'node_modules/onnxruntime-node'));
  const runnable = scripts.filter(
    ({ code, isFragment }) => !isFragment || (hasOnnxruntime && code.includes('OnnxPredictor')),
  );
  const files = runnable.map(({ code }, i) => {
    const file = join(folder, `runnable-${i}.mjs`);
    const { outputText } = ts.transpileModule(code, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    });
    writeFileSync(file, outputText);
    return file;
  });
  const program = `
    import { format } from 'node:util';
    const results = [];
    for (const file of ${JSON.stringify(files)}) {
      const printed = [];
      console.log = (...values) => printed.push(format(...values));
      try {
        await import(file);
        results.push({ printed });
      } catch (error) {
        results.push({ printed, error: String(error?.stack ?? error) });
      }
    }
    process.stdout.write(JSON.stringify(results));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 280_000,
  });
  if (!stdout) throw new Error(stderr);
  const results = JSON.parse(stdout) as { printed: string[]; error?: string }[];
  const wrong = results.flatMap(({ printed, error }, i) => {
    const { where, code } = runnable[i]!;
    if (error !== undefined) return [`${where} throws ${error}`];
    const expected = expectedOutputs(code);
    // Behind what is printed a comment may explain it.
    return expected.flatMap((comment, line) => {
      const shown = printed[line] ?? '(nothing)';
      if (comment === '' || without(comment, /\s/g).startsWith(without(shown, /\s/g))) return [];
      return [`${where} prints ${shown}, its comment says ${comment}`];
    });
  });
  expect(wrong).toEqual([]);
  expect(results).toHaveLength(runnable.length);
}, 300_000);

test('blocks of TypeScript, fragments too, have no errors of types in strict mode', () => {
  const typed = scripts.filter(({ language }) => language === 'ts');
  const files = typed.map(({ code }, i) => {
    const file = join(folder, `typed-${i}.ts`);
    // A module even where it imports nothing.
    writeFileSync(file, `${code}export {};\n`);
    return file;
  });
  const program = ts.createProgram(files, {
    strict: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    skipLibCheck: true,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
  });
  const wrong = ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const block = typed[files.indexOf(file?.fileName ?? '')]?.where;
    const line = file ? file.getLineAndCharacterOfPosition(start!).line + 1 : 0;
    return `${block}, line ${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  });
  expect(wrong).toEqual([]);
}, 180_000);

test('blocks of shell sessions print what they show', async () => {
  const wrong = blocks
    .filter(({ language, isFragment }) => language === 'console' && !isFragment)
    .map(async ({ where, code }) => {
      const commands = code.split('\n').filter((line) => line.startsWith('$ '));
      const script = `npx() { node ${dag} "\${@:2}"; }\n${commands.map((line) => line.slice(2)).join('\n')}`;
      const printed = await outputOf('bash', ['-c', `exec 2>&1\n${script}`], folder);
      const shown = code
        .split('\n')
        .filter((line) => !line.startsWith('$ '))
        .join('\n');
      const pattern = shown
        .trim()
        .split('…')
        .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
        .join('[^]*');
      if (new RegExp(`^${pattern}$`).test(printed.trim())) return [];
      return [`${where} prints ${printed}, it shows ${shown}`];
    });
  expect((await Promise.all(wrong)).flat()).toEqual([]);
}, 180_000);

test('commands in READMEs are there, with the options that they name', async () => {
  const help = new Map<string, Promise<string>>();
  const helpOf = (command: string) => {
    const text = help.get(command) ?? outputOf(process.execPath, [dag, command, '--help']);
    help.set(command, text);
    return text;
  };
  const { scripts: npmScripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const wrong = readmes.flatMap((readme) => {
    const text = readFileSync(join(root, readme), 'utf8');
    const code = [...text.matchAll(/^```(?:sh|console fragment)\n([^]*?)^```$|`([^`\n]+)`/gm)].flatMap(
      ([, block, inline]) => (block ?? inline!).split('\n'),
    );
    return code.map(async (line) => {
      const [, npmScript] = /\bnpm run ([\w:]+)/.exec(line) ?? [];
      if (npmScript !== undefined && !(npmScript in npmScripts)) return [`${readme}: no script ${npmScript}`];
      const [, command, rest] = /(?:^|[\s;])(?:npx @dag\/train|dag) ([a-z]+)\b([^|;#\n]*)/.exec(line) ?? [];
      if (command === undefined) return [];
      const options = [...rest!.matchAll(/\s--([A-Za-z][\w.-]*)/g)].map(([, option]) => option!);
      const known = await helpOf(command);
      if (!known.startsWith(`Usage: dag ${command}`)) return [`${readme}: no command dag ${command}`];
      return options
        .filter((option) => !new RegExp(`[-. ]${option.replaceAll('.', '\\.')}\\b`).test(known))
        .map((option) => `${readme}: dag ${command} has no option --${option}`);
    });
  });
  expect((await Promise.all(wrong)).flat()).toEqual([]);
  expect(help.size).toBeGreaterThan(4);
}, 180_000);

test.each(pages)('links of @dag/%s, %s, lead to files that its package has', (name, readme) => {
  const folder = join(root, 'packages', name);
  const text = readFileSync(join(folder, readme), 'utf8');
  const { files } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { files: string[] };
  const links = [...text.matchAll(/\]\((?!https?:)([^)#\s]+)/g)].map(([, path]) => path!);
  const isPacked = (path: string) => {
    const target = relative(folder, resolve(folder, dirname(readme), path));
    return target === 'README.md' || files.some((file) => `${target}/`.startsWith(`${file}/`));
  };
  expect(links.filter((path) => !isPacked(path))).toEqual([]);
});

test('links within the repository lead somewhere', () => {
  const anchorsOf = (markdown: string) =>
    new Set(
      [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
        without(title!.toLowerCase(), /[^\p{L}\p{N}\s_-]/gu).replaceAll(' ', '-'),
      ),
    );
  const wrong = readmes.flatMap((readme) => {
    const text = readFileSync(join(root, readme), 'utf8');
    const links = [...text.matchAll(/\]\((?!https?:|playground\/)([^)#\s]*)(?:#([^)\s]*))?\)/g)];
    return links.flatMap(([, path, anchor]) => {
      const target = path ? resolve(root, dirname(readme), path) : join(root, readme);
      if (!existsSync(target)) return [`${readme}: ${path} does not exist`];
      if (anchor === undefined) return [];
      const page = target.endsWith('.md') ? target : join(target, 'README.md');
      return anchorsOf(readFileSync(page, 'utf8')).has(anchor)
        ? []
        : [`${readme}: ${path} has no section #${anchor}`];
    });
  });
  expect(wrong).toEqual([]);
});
