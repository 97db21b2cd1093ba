import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from '@jest/globals';
import type { Mpirun } from './mpirun.js';

/** Two hosts on this machine: network namespaces, each with a name of its own, that a cable joins and nothing else. */
export interface TwoHosts {
  /** The launcher, started on the first host, with a rank on each. */
  launcher(mpirun: Mpirun): Mpirun;
  /** Bytes that the first host has received so far. */
  received(): number;
  remove(): void;
}

const ADDRESSES = ['10.98.7.1', '10.98.7.2'];
const ip = (...words: readonly string[]): string =>
  execFileSync('ip', words, { encoding: 'utf8', stdio: 'pipe' });

/** Why there can be no such hosts here; null where there can. */
const namespacesAreMissing = ((): string | null => {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const name = `dag-test-${process.pid}`;
  const { error, status, stderr } = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  if (error) return 'iproute2 is not installed';
  if (status !== 0) return `no network namespaces: ${stderr.trim()}`;
  ip('netns', 'delete', name);
  return null;
})();

/** A test on two hosts; skipped, by name, where there can be none. */
export function twoHostsIt(
  { name: launcher }: Mpirun,
  name: string,
  test: (hosts: TwoHosts) => Promise<void>,
): void {
  // Seen in every second start of Debian's MPICH 4.0 on UCX 1.13; on one host, and with Open MPI, never.
  const unreliable = launcher === 'MPICH' ? 'its UCX finds no way between namespaces at times' : null;
  const reason = unreliable ?? namespacesAreMissing;
  if (reason) return it.skip(`${name} (skipped: ${reason})`, () => undefined);
  it(name, async () => {
    const hosts = twoHosts();
    try {
      await test(hosts);
    } finally {
      hosts.remove();
    }
  });
}

function twoHosts(): TwoHosts {
  const folder = mkdtempSync(join(tmpdir(), 'dag-hosts-'));
  const script = (name: string, line: string): string => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
    return join(folder, name);
  };
  const host = (name: string): string => {
    ip('netns', 'add', name);
    // MPI tells hosts apart by their names.
    const named = `sh -c 'hostname ${name}; exec "$@"' -`;
    return script(name, `exec ip netns exec ${name} unshare --uts ${named} "$@"`);
  };
  const names = [`dag-${process.pid}-a`, `dag-${process.pid}-b`] as const;
  const [onFirst, onSecond] = [host(names[0]), host(names[1])];
  ip('link', 'add', 'eth0', 'netns', names[0], 'type', 'veth', 'peer', 'name', 'eth0', 'netns', names[1]);
  ADDRESSES.forEach((address, i) => {
    ip('-n', names[i]!, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    for (const device of ['lo', 'eth0']) ip('-n', names[i]!, 'link', 'set', device, 'up');
  });
  // In place of ssh, which is given options, the host, and words for its shell.
  const agent = script(
    'agent',
    `while [ "\${1#-}" != "$1" ]; do shift; done; shift; exec ${onSecond} sh -c "$*"`,
  );
  return {
    launcher: ({ command, args, ...mpirun }) => {
      const where = ['--host', ADDRESSES.join(), '--mca', 'plm_rsh_agent', agent];
      return { ...mpirun, command: onFirst, args: [command, ...args, ...where] };
    },
    received: () => {
      const [device] = JSON.parse(ip('-n', names[0], '-json', '-stats', 'link', 'show', 'eth0')) as [
        { stats64: { rx: { bytes: number } } },
      ];
      return device.stats64.rx.bytes;
    },
    remove: () => {
      for (const name of names) ip('netns', 'delete', name);
      rmSync(folder, { recursive: true });
    },
  };
}
