import { loadWasm } from '@dag/executor/wasm';
import { evaluate, format, fromText } from '@dag/expr';
import { PredictorModel, type PrefixPredictions } from '@dag/model';
import { problemOf } from './problem.js';
import weights from '@dag/model/weights/reading/model.safetensors?url';

/** Fetches the kernels and the weights at the same time. */
export async function loadModel(): Promise<PredictorModel> {
  // Without WebAssembly with SIMD the reference in TypeScript calculates, slowly.
  const kernels = loadWasm().catch((error: unknown) => console.info(String(error)));
  const [response] = await Promise.all([fetch(weights), kernels]);
  if (!response.ok) throw new Error(`the weights cannot be fetched: the server answered ${response.status}`);
  return PredictorModel.load(new Uint8Array(await response.arrayBuffer()));
}

/** What the model makes of a text, or why it cannot be given to it. */
export type Reading =
  | {
      readonly prefixes: PrefixPredictions;
      readonly rules: Rules;
      /** For each token whether training met it. */
      readonly wereTrained: readonly boolean[];
      readonly problem: null;
    }
  | { readonly prefixes: null; readonly problem: string };

let last: { text: string; reading: Reading } | null = null;

/** Reads a text; the last result is kept. */
export function read(model: PredictorModel, text: string): Reading {
  if (last?.text !== text) last = { text, reading: readNew(model, text) };
  return last.reading;
}

function readNew(model: PredictorModel, text: string): Reading {
  if (text.trim() === '') return { prefixes: null, problem: '' };
  try {
    const prefixes = model.predictPrefixes(text);
    // Plans are made when they are asked for; that of the whole text may be larger than memory.
    const { value } = prefixes.at(prefixes.tokens.length - 1);
    const { tokenizer } = model;
    return {
      prefixes,
      rules: readByRules(text, value, model),
      wereTrained: model.wereTrained(tokenizer.encode(tokenizer.read(text))),
      problem: null,
    };
  } catch (error) {
    return { prefixes: null, problem: problemOf(error) };
  }
}

/** Whether a text is read already. */
export const isRead = (text: string): boolean => last?.text === text;

/** What the rules of `fromText` make of a text, and whether a model reads the same; or why they cannot read it. */
export type Rules =
  | { readonly value: number; readonly expression: string; readonly agree: boolean }
  | { readonly problem: string };

function readByRules(text: string, predicted: number, model: PredictorModel): Rules {
  try {
    const expr = fromText(text);
    const agree = model.doubt(text, predicted) === null;
    return { value: evaluate(expr), expression: format(expr), agree };
  } catch (error) {
    return { problem: problemOf(error) };
  }
}
