/**
 * Makes the packages that bring the native kernels: `node platform-packages.js FOLDER`, where FOLDER holds
 * <platform>-<arch>/dag_executor.so for each platform, and cuda/<name>.fatbin, makes of each of these folders the package
 * @dag/executor-<folder>, and has the executor's package.json ask for all of them, in its own version: for the CUDA kernels as an
 * optional peer, which npm installs only for those who ask for it.
 *
 * They are no workspaces, and the executor asks for them in what is published alone: `npm ci` refuses a workspace of
 * another platform, and a lock file cannot name an optional dependency that is not published yet.
 */
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [folder] = process.argv.slice(2);
if (!folder) throw new Error('the folder of the native libraries is missing');
const executor = fileURLToPath(new URL('..', import.meta.url));
const manifestFile = join(executor, 'package.json');
const manifest = JSON.parse(await readFile(manifestFile, 'utf8'));
const json = (value) => JSON.stringify(value, null, 2) + '\n';

const platforms = (await readdir(folder)).sort();
if (platforms.length === 0) throw new Error(`${folder} holds no native library`);
for (const platform of platforms) {
  const files = await readdir(join(folder, platform));
  const wanted = platform === 'cuda' ? '.fatbin' : 'dag_executor.so';
  if (!files.some((file) => file.endsWith(wanted)))
    throw new Error(`${folder}/${platform} holds no ${wanted}`);
  const name = `${manifest.name}-${platform}`;
  const platformManifest = {
    name,
    version: manifest.version,
    description: `Native kernels of ${manifest.name} for ${platform}`,
    license: manifest.license,
    repository: manifest.repository,
    homepage: manifest.homepage,
    bugs: manifest.bugs,
    ...systemOf(platform),
    files: [`*${wanted}`],
    // A library is loaded from a file of its own, not from an archive.
    preferUnplugged: true,
    publishConfig: manifest.publishConfig,
  };
  await writeFile(join(folder, platform, 'package.json'), json(platformManifest));
  const installed =
    platform === 'cuda'
      ? `\`npm install ${name}\` adds them to it.`
      : 'npm installs them with it where they fit.';
  await writeFile(
    join(folder, platform, 'README.md'),
    `# ${name}\n\nThe native kernels of \`${manifest.name}\` for ${platform}. ${installed}\n`,
  );
  await copyFile(join(executor, 'LICENSE'), join(folder, platform, 'LICENSE'));
  if (platform === 'cuda') {
    manifest.peerDependencies = { [name]: manifest.version };
    manifest.peerDependenciesMeta = { [name]: { optional: true } };
  } else manifest.optionalDependencies = { ...manifest.optionalDependencies, [name]: manifest.version };
}
await writeFile(manifestFile, json(manifest));

/** Where npm installs a package; machine code of a GPU is the same for all that have NVIDIA's driver. */
function systemOf(platform) {
  if (platform === 'cuda') return { os: ['linux', 'win32'] };
  const [os, cpu] = platform.split('-');
  return { os: [os], cpu: [cpu], ...(os === 'linux' ? { libc: ['glibc'] } : {}) };
}
