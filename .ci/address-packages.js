/**
 * Says in packages where they come from: `node .ci/address-packages.js FOLDER…` sets `repository`, `homepage` and `bugs` in
 * each package.json, and makes the relative links of its README absolute, which lead nowhere on npm's pages. The
 * repository is that of the GitHub workflow, or else git's `origin`; where there is neither, nothing is changed.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const address = repositoryAddress();
if (address === null) console.error('No repository is known: packages are published without its address.');
else for (const folder of process.argv.slice(2)) addressPackage(folder);

/** `https://host/owner/name`, or null. */
function repositoryAddress() {
  const { GITHUB_REPOSITORY: repository, GITHUB_SERVER_URL: server = 'https://github.com' } = process.env;
  if (repository) return `${server}/${repository}`;
  try {
    const options = { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };
    const origin = execFileSync('git', ['remote', 'get-url', 'origin'], options).trim();
    // git@host:owner/name.git, ssh://git@host/owner/name and https://user:token@host/owner/name.
    const [, host, path] = /^(?:\w+:\/\/)?(?:[^@/]*@)?([\w.-]+)[:/](.+?)(?:\.git)?\/?$/.exec(origin) ?? [];
    return host?.includes('.') ? `https://${host}/${path}` : null;
  } catch {
    return null;
  }
}

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
