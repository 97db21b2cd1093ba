import leven from 'leven';
import { z } from 'zod';
import type { LossWeights } from './losses.js';

/** A key that holds a value. */
export interface ConfigField {
  /** The dotted key. */
  readonly path: string;
  readonly schema: z.core.JSONSchema.BaseSchema;
  /** The kind of configuration that alone has this key, where it is another one than that which is asked about. */
  readonly only?: string;
}

export const onlyIn = (kind: string): string => `only a configuration of kind '${kind}' has this key`;

/** What each loss is on, for the help. */
const ON: Readonly<Record<string, string>> = {
  next: 'the next token',
  gate: 'when a value is written',
  start: 'where an expression begins',
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
};

/** The keys of a schema in its order, with a key for the weight of each loss. */
export function fieldsOf(schema: z.ZodType, losses: LossWeights): readonly ConfigField[] {
  return [
    ...leaves(z.toJSONSchema(schema, { io: 'input' }), ''),
    ...Object.entries(losses).map(([name, weight]) => ({
      path: `losses.${name}`,
      schema: {
        type: 'number',
        minimum: 0,
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
    // Of a record, as the losses are, the schema does not know the keys.
    else if (schema.type !== 'object') yield { path: prefix + key, schema };
  }
}

/** How keys are compared on the command line: `--out-dir`, `--outDir` and `--out_dir` are one. */
export const foldKey = (key: string): string => key.toLowerCase().replaceAll(/[-_]/g, '');

const lastPart = (path: string): string => path.slice(path.lastIndexOf('.') + 1);

/** The right key that a wrong one is likely to mean: nearly the same, or nearly the same name in another section. */
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

/** The field that an option means, by its whole key or its last part, or what is wrong with its name. */
export function findField(key: string, fields: readonly ConfigField[]): ConfigField | string {
  const folded = foldKey(key);
  const exact = fields.find(({ path }) => foldKey(path) === folded);
  if (exact) return exact.only === undefined ? exact : onlyIn(exact.only);
  const own = fields.filter(({ only }) => only === undefined);
  const isNamed = ({ path }: ConfigField): boolean => foldKey(path).endsWith(`.${folded}`);
  const named = own.filter(isNamed);
  // `digits` is that of the model before the loss of this name.
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
