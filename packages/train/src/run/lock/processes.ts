import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { systemCode } from '../../files/system-error.js';

/**
 * A boot of a machine, with one numbering of its processes: host names are not unique, and containers share a machine but
 * not its numbers.
 */
export function thisMachine(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${hostname()} ${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

/** Whether there is such a process; one that was killed and not yet waited for does nothing more. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
  return !['Z', 'X'].includes(statOf(pid)?.[0] ?? '');
}

/** When a process began, in ticks since the machine did; null where the system does not say. */
export const beginningOf = (pid: number): string | null => statOf(pid)?.[19] ?? null;

/** The fields of /proc/<pid>/stat from the state on: before them stands the name, which may hold blanks. */
function statOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}
