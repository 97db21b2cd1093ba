import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { systemCode } from '../../files/system-error.js';

/**
 * Identifies this boot of the machine and its PID namespace. The host name alone is not enough: it need not be unique, and
 * containers on one machine have separate process ids.
 */
export function thisMachine(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${hostname()} ${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

/** Whether a process runs. A zombie (killed, but not yet waited for) does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
  return !['Z', 'X'].includes(statOf(pid)?.[0] ?? '');
}

/** Start time of a process in clock ticks since boot; null if the system does not say. */
export const beginningOf = (pid: number): string | null => statOf(pid)?.[19] ?? null;

/** The fields of /proc/<pid>/stat from the state on. The name before them may contain spaces. */
function statOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}
