import { execFileSync } from 'node:child_process';

/**
 * The address of the repository, `https://host/owner/name`: that of the GitHub workflow, or else of git's `origin`; null where
 * there is neither.
 */
export function repositoryAddress() {
  const { GITHUB_REPOSITORY: repository, GITHUB_SERVER_URL: server = 'https://github.com' } = process.env;
  if (repository) return `${server}/${repository}`;
  try {
    const options = { cwd: import.meta.dirname, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };
    const origin = execFileSync('git', ['remote', 'get-url', 'origin'], options).trim();
    // git@host:owner/name.git, ssh://git@host/owner/name and https://user:token@host/owner/name.
    const [, host, path] = /^(?:\w+:\/\/)?(?:[^@/]*@)?([\w.-]+)[:/](.+?)(?:\.git)?\/?$/.exec(origin) ?? [];
    return host?.includes('.') ? `https://${host}/${path}` : null;
  } catch {
    return null;
  }
}
