import type { TokenRecord } from '../src/index.js';
import { DEPTH, FIRST_OPERATOR, OPERATORS, type Decision } from '../src/reading/decisions.js';

/** What a token decides, certain: a class of `DECISIONS`, and a change of nesting. */
export interface Label {
  readonly record: TokenRecord;
  readonly decision: number;
  readonly nesting: number;
  readonly complete: boolean;
}

const [HUNDRED, SHARE] = ['percentOf', 'percentOfLeft'];
const isPow = ({ name }: Decision): boolean => name === 'pow';
const isPrefix = ({ left }: Decision): boolean => left === 0;
const isPostfix = (o: Decision): boolean => o.right === 0 && !isPow(o);
const root = (x: number, power: number): number => (power === 0.5 ? Math.sqrt(x) : x ** power);

/** The value of decided tokens by recursion from the operator that binds last; null where they are no expression. The oracle of plans. */
export function decidedValue(labels: readonly Label[]): number | null {
  const operators: { is: Decision; priority: number }[] = [];
  const slots = [{ text: '', percents: 0 }];
  let depth = 0;
  let isNumber = false;
  let first = '';
  for (const { record, decision, nesting } of labels) {
    depth += Math.min(nesting, 0);
    if (decision >= FIRST_OPERATOR) {
      const is = OPERATORS[decision - FIRST_OPERATOR]!;
      operators.push({ is, priority: depth * DEPTH + is.level });
      if (is.name === SHARE) slots.at(-1)!.percents++;
      slots.push({ text: is.name === HUNDRED ? '100' : '', percents: 0 });
      isNumber = false;
    } else if (decision === 1) slots.at(-1)!.percents++;
    depth += Math.max(nesting, 0);
    const { digits, point, begins } = record;
    const goesOn: boolean = isNumber && !begins;
    isNumber = digits.length > 0 || point;
    const slot = slots.at(-1)!;
    if (digits.length > 0) slot.text += (goesOn ? first : ' ') + digits.join('');
    else if (point && goesOn && slot.text !== '') slot.text += '.';
    // A point that begins a number: `.5`.
    first = point && !goesOn ? '.' : '';
  }
  const taken = new Set<number>();
  const number = (slot: number): number => {
    const { text, percents } = slots[slot]!;
    taken.add(slot);
    if (!/^(\d+\.?\d*|\.\d+)$/.test(text.trim()) || percents > 3 || text.replace(/\D/g, '').length > 30)
      throw NONE;
    if (text === '100' && percents > 0) throw NONE;
    return Number(`${text}e${-2 * percents}`);
  };
  const lastOf = (from: number, to: number): number => {
    let last = -1;
    for (let k = from; k < to; k++) {
      const { is, priority } = operators[k]!;
      if ((isPrefix(is) && k !== from) || (isPostfix(is) && k !== to - 1)) continue;
      if (last < 0 || priority <= operators[last]!.priority) last = k;
    }
    return last;
  };
  const value = (from: number, to: number): number => {
    if (from === to) return number(from);
    const last = lastOf(from, to);
    if (last < 0) throw NONE;
    const { is, priority } = operators[last]!;
    if (is.name === 'mean') {
      const terms: number[] = [];
      let [k, end] = [last, to];
      for (; operators[k]?.is === is && operators[k]!.priority === priority; k = lastOf(from, end)) {
        terms.unshift(value(k + 1, end));
        end = k;
      }
      return [value(from, end), ...terms].reduce((sum, term) => sum + term) / (terms.length + 1);
    }
    const { left: l, right: r } = is;
    if (is.name === SHARE) throw NONE;
    const left = isPrefix(is) ? 0 : value(from, last);
    if (['add', 'sub'].includes(is.name) && to === last + 2 && operators[last + 1]!.is.name === SHARE)
      return left + r * (number(last + 1) * left);
    const isNegative = to === last + 2 && operators[last + 1]!.is.name === 'neg';
    if (isPow(is) && to > last + 1 && !isNegative) throw NONE;
    // The minus of a number stands before a cube root.
    if (is.name === 'cbrt' && isNegative) return -root(number(to), r);
    const right = isPostfix(is) ? 0 : value(last + 1, to);
    if (isPow(is)) return root(left, right);
    if (is.name === 'onto') return right + left * right;
    if (is.name === 'off') return right - left * right;
    if (is.linear) return isPrefix(is) ? r * right : isPostfix(is) ? l * left : l * left + r * right;
    if (isPrefix(is)) return root(right, r);
    if (isPostfix(is)) return root(left, l);
    return l < 0 ? right / left : r < 0 ? left / right : left * right;
  };
  try {
    const executed = value(0, operators.length);
    return slots.every(({ text, percents }, s) => taken.has(s) || (text === '' && percents === 0))
      ? executed
      : null;
  } catch (error) {
    if (error === NONE) return null;
    throw error;
  }
}
const NONE = new Error('no expression');
