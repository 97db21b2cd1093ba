import type { z } from 'zod';
import { shown } from '../arguments.js';
import { nearestKey, onlyIn, type ConfigField } from './fields.js';
import { valueAt, type ConfigProblem } from './problems.js';

/** Converts a zod issue into messages for the user. */
export function describeIssue(
  issue: z.core.$ZodIssue,
  input: unknown,
  fields: readonly ConfigField[],
): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const path = [...issue.path, key].join('.');
      const kind = fields.find((field) => field.path === path)?.only;
      const near = nearestKey(path, fields);
      const hint = kind === undefined ? near && `did you mean ${near}?` : onlyIn(kind);
      return { paths: [path], message: `unknown key ${path}${hint === null ? '' : `; ${hint}`}` };
    });
  }
  const path = issue.path.join('.');
  const given = shown(valueAt(input, issue.path));
  const field = fields.find((field) => field.path === path);
  const allowed = field ? allowedValues(field.schema) : 'an object of keys and values';
  return [{ paths: [path], message: `${path || 'the configuration'} is ${given}; allowed: ${allowed}` }];
}

function allowedValues(schema: z.core.JSONSchema.BaseSchema): string {
  if (schema.enum) return schema.enum.map((value) => shown(value)).join(' or ');
  if (schema.type === 'boolean') return 'true or false';
  if (schema.type === 'string')
    return schema.pattern ? `a text that matches ${schema.pattern}` : 'a nonempty text';
  const bounds = [
    schema.minimum !== undefined && `≥ ${schema.minimum}`,
    schema.exclusiveMinimum !== undefined && `> ${schema.exclusiveMinimum}`,
    schema.maximum !== undefined && schema.maximum !== Number.MAX_SAFE_INTEGER && `≤ ${schema.maximum}`,
    schema.exclusiveMaximum !== undefined && `< ${schema.exclusiveMaximum}`,
  ].filter((bound) => bound !== false);
  return `a ${schema.type === 'integer' ? 'whole ' : ''}number ${bounds.join(' and ')}`;
}
