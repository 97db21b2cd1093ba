import { Buffer } from 'node:buffer';
import { expect } from '@jest/globals';

const kindOf = (x) => `${Object.prototype.toString.call(x)} ${x.constructor.name} ${x.byteLength}`;
const bytesOf = ({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength);

/** Typed arrays of the same bytes are equal. Jest would compare them number by number, a million of them in tens of seconds. */
function hasSameBytes(a, b) {
  const isSame =
    ArrayBuffer.isView(a) &&
    ArrayBuffer.isView(b) &&
    kindOf(a) === kindOf(b) &&
    bytesOf(a).equals(bytesOf(b));
  // Others may be equal, too, and Jest says where they differ.
  return isSame || undefined;
}

expect.addEqualityTesters([hasSameBytes]);
