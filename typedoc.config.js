/**
 * The site, by `npm run site`: guides are the READMEs of the packages, the reference is their docstrings, and what is written for
 * the site alone lies in .github/site. What a package exports and its further pages are named in its tsconfig.json.
 */
import { cpSync, existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Application, JSX, ReflectionKind, RendererEvent } from 'typedoc';
import { repositoryAddress } from './.ci/repository-address.js';

const root = import.meta.dirname;
const packages = ['expr', 'tensorize', 'executor', 'model', 'train'];
const address = repositoryAddress();

/** @type {import('typedoc').TypeDocOptions} */
export default {
  name: 'DAG: models that compute',
  entryPointStrategy: 'packages',
  entryPoints: packages.map((name) => `packages/${name}`),
  sortEntryPoints: false,
  navigation: { includeFolders: false },
  readme: '.github/site/index.md',
  projectDocuments: [
    'README.md',
    '.github/site/glossary.md',
    'packages/model/weights/reading/README.md',
    'packages/model/weights/problems/README.md',
    'packages/model/weights/writing/README.md',
    'bench/README.md',
    '.github/CONTRIBUTING.md',
  ],
  out: 'dist/site',
  customCss: '.github/site/style.css',
  favicon: '.github/site/favicon.svg',
  useFirstParagraphOfCommentAsSummary: true,
  includeHierarchySummary: false,
  searchInDocuments: true,
  hideGenerator: true,
  highlightLanguages: ['console', 'html', 'javascript', 'json', 'shellscript', 'typescript'],
  ignoredHighlightLanguages: ['text'],
  navigationLinks: address ? { GitHub: address } : {},
  treatWarningsAsErrors: true,
  validation: { invalidPath: false },
  plugin: [
    (app) => {
      app.on(Application.EVENT_PROJECT_REVIVE, nameAndLink);
      app.renderer.hooks.on('sidebar.begin', (context) =>
        JSX.createElement('a', { href: context.relativeURL('playground/index.html') }, 'Playground'),
      );
      app.renderer.on(RendererEvent.END, ({ outputDirectory }) =>
        cpSync(join(root, 'examples/playground/dist'), join(outputDirectory, 'playground'), {
          recursive: true,
        }),
      );
    },
  ],
  packageOptions: {
    alwaysCreateEntryPointModule: true,
    readme: 'README.md',
    projectDocuments: ['CHANGELOG.md'],
    disableSources: true,
    excludeProtected: true,
    // `npm run typecheck` does it.
    skipErrorChecking: true,
    requiredToBeDocumented: ['Function', 'Class', 'Interface', 'TypeAlias', 'Variable', 'Method'],
    validation: { notDocumented: true },
    compilerOptions: {
      paths: Object.fromEntries(
        packages.flatMap((name) => [
          [`@dag/${name}`, [join(root, 'packages', name, 'src/index.ts')]],
          [`@dag/${name}/*`, [join(root, 'packages', name, 'src/*.ts')]],
        ]),
      ),
    },
  },
};

/**
 * Names documents by their first heading, takes that of a module out, which the theme repeats, and leads links to files that are no
 * pages of the site to the repository.
 */
function nameAndLink(project) {
  for (const reflection of Object.values(project.reflections)) {
    if (reflection.kind === ReflectionKind.Module && reflection.name === 'index') reflection.name = 'API';
    reflection.childrenIncludingDocuments?.sort((a, b) => inNavigation(a) - inNavigation(b));
    const parts = reflection.isDocument() ? reflection.content : reflection.readme;
    if (!parts?.length) continue;
    const [start, heading] = /^\s*# (.+)\s+/.exec(parts[0].text);
    if (!reflection.isDocument()) parts[0].text = parts[0].text.slice(start.length);
    else if (reflection.name === 'CHANGELOG') reflection.name = 'Changelog';
    else reflection.name = heading === project.name ? 'Overview' : heading;
    for (const [i, part] of parts.entries()) {
      const path = part.kind === 'relative-link' && project.files.resolve(part.target, project);
      if (typeof path === 'string') parts[i] = { kind: 'text', text: inRepository(path) };
    }
  }
}

const inNavigation = (reflection) => (reflection.isDocument() ? 0 : reflection.name === 'API' ? 1 : 2);

function inRepository(path) {
  const name = relative(root, path);
  if (!existsSync(path)) throw new Error(`A page links to ${name}, which does not exist`);
  return address ? `${address}/blob/HEAD/${name}` : '#';
}
