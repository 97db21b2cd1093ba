import { OPERATORS, DECISIONS, FIRST_OPERATOR, DEPTH } from '../src/reading/decisions.js';
export interface Tok { decision: number; nesting: number; digits: string; point: boolean; begins: boolean; }
export interface Reg { k: number; p: number }
/** Value of decided tokens, and a reason why it is none. */
export function decode(tokens: Tok[]): { value: number; reason: string | null } {
  const ops: { k: number; p: number }[] = [];
  const slots: { text: string; pct: number; n: number }[] = [{ text: '', pct: 0, n: 0 }];
  let depth = 0;
  for (const t of tokens) {
    if (t.nesting < 0) depth += t.nesting;
    if (t.decision >= FIRST_OPERATOR) {
      const k = t.decision - FIRST_OPERATOR;
      ops.push({ k, p: depth * DEPTH + OPERATORS[k]!.level });
      slots.push({ text: '', pct: 0, n: 0 });
      if (OPERATORS[k]!.name === 'percentOf') { const s = slots.at(-1)!; s.text = '100'; s.n = 1; }
    } else if (t.decision === 1) slots.at(-1)!.pct += 2;
    if (t.nesting > 0) depth += t.nesting;
    const s = slots.at(-1)!;
    if (t.digits !== '' || t.point) {
      if (t.begins) { s.n++; s.text += '_'; }
      s.text += t.point ? '.' : t.digits;
    }
  }
  let reason: string | null = null;
  const num = (i: number): number => {
    const s = slots[i]!;
    const text = s.text.replace(/_/g, '');
    if (s.n === 0) { reason ??= `no number in slot ${i}`; return NaN; }
    if (s.n > 1) { reason ??= 'a number without an operator'; return NaN; }
    return s.pct ? Number(`${text}e-${s.pct}`) : Number(text);
  };
  const used = new Set<number>();
  const build = (lo: number, hi: number): number => {
    // ops lo..hi-1 between slots lo..hi
    if (lo === hi) { used.add(lo); return num(lo); }
    let best = -1;
    for (let k = lo; k < hi; k++) {
      const o = OPERATORS[ops[k]!.k]!;
      const pre = o.left === 0;
      const post = o.right === 0 && o.name !== 'pow';
      if (pre && k !== lo) continue;
      if (post && k !== hi - 1) continue;
      if (best < 0) { best = k; continue; }
      const pk = ops[k]!.p, pb = ops[best]!.p;
      // k is right of best: root is k unless best is lower.
      if (pk <= pb) best = k;
    }
    if (best < 0) { reason ??= 'no root'; return NaN; }
    const o = OPERATORS[ops[best]!.k]!;
    if (o.left === 0) { if (slots[best]!.n > 0) { reason ??= 'number before prefix'; return NaN; } }
    if (o.name === 'pow') {
      const base = build(lo, best);
      const e = build(best + 1, hi);
      return Math.pow(base, e);
    }
    const l = o.left === 0 ? 0 : build(lo, best);
    if (o.right === 0 && slots[best + 1]!.n > 0) { reason ??= 'number after postfix'; return NaN; }
    const r = o.right === 0 ? 0 : build(best + 1, hi);
    if (o.linear) return o.left === 0 ? o.right * r : o.right === 0 ? o.left * l : o.left * l + o.right * r;
    const pw = (x: number, c: number): number => c === 0.5 ? Math.sqrt(x) : c === 1 / 3 ? Math.cbrt(x) : c === -1 ? 1 / x : Math.pow(x, c);
    if (o.left === 0) return pw(r, o.right);
    if (o.right === 0) return pw(l, o.left);
    if (o.left === 1 && o.right === 1) return l * r;
    if (o.left === 1) return l / r;
    return r / l;
  };
  const value = build(0, ops.length);
  return { value: reason ? NaN : value, reason };
}
