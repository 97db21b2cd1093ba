/** The first six bytes: ELF, 64 bits, little-endian. */
const [MAGIC, CLASS_AND_ORDER] = [0x7f454c46, 0x0201];

/**
 * Throws for a truncated ELF shared library, such as an interrupted copy. The system would map the missing part and end the process with
 * SIGBUS when it is read. See elf(5) for the layout of the file.
 */
export function checkComplete(path: string): void {
  const { closeSync, fstatSync, openSync, readSync } = process.getBuiltinModule('node:fs');
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const read = (offset: number, length: number) => {
      const view = new DataView(new ArrayBuffer(length));
      readSync(file, view, 0, length, offset);
      return view;
    };
    const header = read(0, 64);
    if (header.getUint32(0) !== MAGIC || header.getUint16(4) !== CLASS_AND_ORDER) return;
    const offset = Number(header.getBigUint64(32, true));
    const [entry, count] = [header.getUint16(54, true), header.getUint16(56, true)];
    const segments = read(offset, entry * count);
    for (let at = 0; at < entry * count; at += entry) {
      const end = segments.getBigUint64(at + 8, true) + segments.getBigUint64(at + 32, true);
      if (end > size) throw new Error(`the file is cut off: it has ${size} bytes of at least ${end}`);
    }
  } finally {
    closeSync(file);
  }
}
