/**
 * Says in packages where they come from: `node .ci/address-packages.js FOLDER…` sets `repository`, `homepage` and `bugs` in
 * each package.json, and makes the relative links of its README absolute, which lead nowhere on npm's pages. The
 * repository is that of the GitHub workflow, or else git's `origin`; where there is neither, nothing is changed.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { repositoryAddress } from './repository-address.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const address = repositoryAddress();
if (address === null) console.error('No repository is known: packages are published without its address.');
else for (const folder of process.argv.slice(2)) addressPackage(folder);

function addressPackage(folder) {
  const manifestFile = join(folder, 'package.json');
  const manifest = JSON.parse(readFileSync(manifestFile, 'utf8'));
  const directory = `packages/${manifest.name.split('/').pop()}`;
  Object.assign(manifest, {
    repository: { type: 'git', url: `git+${address}.git`, directory },
    homepage: `${address}/tree/HEAD/${directory}#readme`,
    bugs: `${address}/issues`,
  });
  writeFileSync(manifestFile, JSON.stringify(manifest, null, 2) + '\n');
  for (const name of manifest.files.flatMap((entry) => ['README.md', `${entry}/README.md`])) {
    const readme = join(folder, name);
    if (!existsSync(readme)) continue;
    const from = posix.join(directory, dirname(name));
    const text = readFileSync(readme, 'utf8');
    writeFileSync(
      readme,
      text.replace(/\]\((?!\w+:|#)([^)#\s]+)/g, (_, path) => `](${absolute(from, path)}`),
    );
  }
}

/** Of a path relative to the folder `from` of the repository. */
function absolute(from, path) {
  const target = posix.join(from, path);
  const isFolder = statSync(join(root, target)).isDirectory();
  return `${address}/${isFolder ? 'tree' : 'blob'}/HEAD/${target.replace(/\/$/, '')}`;
}
