import leven from 'leven';
import { z } from 'zod';
import { MOST_WEIGHT, type LossWeights } from './losses.js';

/** A configuration key that has a value (not a section). */
export interface ConfigField {
  /** The dotted key. */
  readonly path: string;
  readonly schema: z.core.JSONSchema.BaseSchema;
  /** If the key belongs only to another kind of configuration: that kind. */
  readonly only?: string;
}

export const onlyIn = (kind: string): string => `only a configuration of kind '${kind}' has this key`;

/** What each loss measures, for the help. */
const ON: Readonly<Record<string, string>> = {
  next: 'the next token',
  gate: 'when a value is written',
  start: 'where an expression begins',
  form: 'how a value is written: decimals, commas, a blank',
  digits: 'digits of the numbers',
  negative: 'signs of the numbers',
  operators: 'operator classes',
  precedence: 'the order of operators',
  count: 'the counter of numbers',
  magnitude: 'V_mag',
  sign: 'V_sign',
  operand: 'O',
  domain: 'G',
  execution: 'the executed value',
  library: 'the plan among all plans',
  cells: 'single coefficients of the plan',
};

const known = new Map<z.ZodType, readonly ConfigField[]>();

/** The keys of a schema in order, then a key for the weight of each loss. */
export function fieldsOf(schema: z.ZodType, losses: LossWeights): readonly ConfigField[] {
  // Kept: a command asks for them once for each of its options, and making them takes 10 ms.
  const keys = known.get(schema) ?? [...leaves(z.toJSONSchema(schema, { io: 'input' }), '')];
  known.set(schema, keys);
  return [
    ...keys,
    ...Object.entries(losses).map(([name, weight]) => ({
      path: `losses.${name}`,
      schema: {
        type: 'number',
        minimum: 0,
        maximum: MOST_WEIGHT,
        default: weight,
        description: `weight of the loss on ${ON[name] ?? name}; 0: off`,
      } as const,
    })),
  ];
}

function* leaves(section: z.core.JSONSchema.BaseSchema, prefix: string): Iterable<ConfigField> {
  for (const [key, schema] of Object.entries(section.properties ?? {})) {
    if (typeof schema === 'boolean') continue;
    if (schema.properties) yield* leaves(schema, `${prefix}${key}.`);
    // A record such as `losses` has no fixed keys.
    else if (schema.type !== 'object') yield { path: prefix + key, schema };
  }
}

/** Normalises a key for comparison: `--out-dir`, `--outDir` and `--out_dir` are the same. */
export const foldKey = (key: string): string => key.toLowerCase().replaceAll(/[-_]/g, '');

const lastPart = (path: string): string => path.slice(path.lastIndexOf('.') + 1);

/** The valid key nearest to a wrong one by edit distance, as a whole or by its last part; null if none is near. */
export function nearestKey(wrong: string, fields: readonly ConfigField[]): string | null {
  const full = foldKey(wrong);
  const name = lastPart(full);
  const own = fields.filter(({ only }) => only === undefined);
  const sections = own.flatMap(({ path }) =>
    [...path.matchAll(/\./g)].map((dot) => path.slice(0, dot.index)),
  );
  const candidates = [...new Set([...own.map(({ path }) => path), ...sections])].map((path) => {
    const folded = foldKey(path);
    return { path, distance: Math.min(leven(full, folded), leven(name, lastPart(folded)) + 0.5) };
  });
  const best = candidates.reduce((a, b) => (b.distance < a.distance ? b : a));
  return best.distance <= Math.max(1, Math.floor(name.length / 3)) + 0.5 ? best.path : null;
}

const inGroup = (group: string, fields: readonly ConfigField[]): readonly ConfigField[] =>
  fields.filter(({ path }) => `.${foldKey(path)}`.includes(`.${group}.`));

/** Finds the field of an option by its full key or its last part. Returns an error message if there is none or several. */
export function findField(key: string, fields: readonly ConfigField[]): ConfigField | string {
  const folded = foldKey(key);
  const exact = fields.find(({ path }) => foldKey(path) === folded);
  if (exact) return exact.only === undefined ? exact : onlyIn(exact.only);
  const own = fields.filter(({ only }) => only === undefined);
  const isNamed = ({ path }: ConfigField): boolean => foldKey(path).endsWith(`.${folded}`);
  const named = own.filter(isNamed);
  // If a loss and another key end in the same name, the other key is meant.
  const others = named.filter(({ path }) => !path.startsWith('losses.'));
  const candidates = others.length === 1 ? others : named;
  if (candidates.length === 1) return candidates[0]!;
  const [foreign] = fields.filter((field) => field.only !== undefined && isNamed(field));
  if (candidates.length === 0 && foreign?.only !== undefined) return onlyIn(foreign.only);
  const names = (some: readonly ConfigField[]): string => some.map(({ path }) => `--${path}`).join(', ');
  if (candidates.length > 1) return `could mean ${names(candidates)}`;
  const within = inGroup(folded, own);
  if (within.length > 0) return `is a group of options: ${names(within)}`;
  if (folded.startsWith('losses.')) return `unknown loss; there are ${names(inGroup('losses', own))}`;
  const near = nearestKey(key, fields);
  return `unknown option${near === null ? '' : `; did you mean --${near}?`}`;
}
