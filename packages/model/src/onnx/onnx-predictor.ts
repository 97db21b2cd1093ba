import type { InferenceSession } from 'onnxruntime-common';
import { checkList, checkObject } from '../arguments.js';
import { checkCalibration } from '../calibration.js';
import { doubtOf } from '../doubt.js';
import { encodeTexts, isReadable } from '../encode-texts.js';
import { ROWS } from '../embedding-rows.js';
import { checkFinite, ModelError } from '../error.js';
import { configFrom } from '../weights.js';
import type { PredictedPlans, PredictedValue } from '../predicted-value.js';
import { predictedValue, unsaid, type PredictorConfig } from '../predictor-model.js';
import { judge } from '../refusal.js';
import { tokenizer, type Tokenizer } from '../tokenizer/tokenizer.js';
import { readRegularFile } from '../regular-file.js';
import { decodeMetadata } from './proto.js';

/** Options of `OnnxPredictor.load`. */
export interface OnnxOptions {
  /** Execution providers of onnxruntime-node, `cpu`, `cuda`, `coreml`, …, in order of preference. Default: `cpu`. */
  readonly executionProviders?: readonly string[];
  /** Number of threads within an operator. Default: one for each core. */
  readonly threads?: number;
}

/** The types that onnxruntime-node re-exports; it is an optional peer and may not be installed. */
type Runtime = typeof import('onnxruntime-common');
const RUNTIME = 'onnxruntime-node';

/** A model that `exportOnnx` wrote, run by onnxruntime-node, an optional peer of this package. */
export class OnnxPredictor {
  readonly config: PredictorConfig;
  readonly tokenizer: Tokenizer;
  readonly #runtime: Runtime;
  readonly #session: InferenceSession;
  /** Ids of the tokens that training met; null: all. */
  readonly #trained: ReadonlySet<number> | null;

  private constructor({ config, trained }: ModelMetadata, runtime: Runtime, session: InferenceSession) {
    checkCalibration(config.calibration);
    this.config = config;
    this.#trained = trained;
    this.tokenizer = tokenizer(config.tokenizer);
    this.#runtime = runtime;
    this.#session = session;
  }

  /**
   * @param file The file that `exportOnnx` wrote, or its path.
   * @throws {ModelError} `no-runtime` where onnxruntime-node is not installed, `bad-file` where it cannot load the
   *   file or `exportOnnx` did not write it.
   */
  static async load(file: Uint8Array | string, given: OnnxOptions = {}): Promise<OnnxPredictor> {
    checkObject('options such as { threads: 1 }', given);
    const { executionProviders = ['cpu'], threads } = given;
    const runtime = await loadRuntime();
    const options: InferenceSession.SessionOptions = {
      executionProviders,
      ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    };
    const bytes = typeof file === 'string' ? await readModel(file) : file;
    const metadata = metadataOf(bytes);
    const session = await runtime.InferenceSession.create(bytes, options).catch((error: unknown) => {
      throw new ModelError('bad-file', `onnxruntime does not take the model: ${(error as Error).message}`, {
        cause: error,
      });
    });
    return new OnnxPredictor(metadata, runtime, session);
  }

  /** Whether `predict` accepts this text: it is not empty and has at most `blockSize` tokens. */
  reads(text: string): boolean {
    return isReadable(text, this.tokenizer, this.config.blockSize);
  }

  /**
   * The hard plan of each text as a whole, and its value.
   *
   * @throws {ModelError} `bad-input` for an empty text or one of more than `blockSize` tokens.
   */
  async predictPlans(texts: readonly string[]): Promise<PredictedPlans> {
    const { depth } = this.config;
    const { tokens, shape, last } = encodeTexts(texts, this.tokenizer, this.config.blockSize);
    const [, T] = shape;
    const ids = new this.#runtime.Tensor('int64', BigInt64Array.from(tokens, BigInt), [...shape]);
    const outputs = await this.#session.run({ tokens: ids }).catch((error: unknown) => {
      throw new ModelError('bad-file', `onnxruntime cannot run the model: ${(error as Error).message}`, {
        cause: error,
      });
    });
    const at = (name: string, width: number): Float64Array => {
      const data = outputs[name]?.data;
      if (!(data instanceof Float64Array) || data.length !== width * tokens.length)
        throw new ModelError(
          'bad-file',
          `the model's output ${name} does not have ${width} doubles at each token, as by its configuration of depth ${depth}`,
        );
      const rows = new Float64Array(texts.length * width);
      last.forEach((t, b) =>
        rows.set(data.subarray((b * T + t) * width, (b * T + t + 1) * width), b * width),
      );
      return rows;
    };
    const plans = {
      depth,
      size: texts.length,
      V_mag: at('V_mag', 2 * depth),
      V_sign: at('V_sign', 2 * depth),
      O: at('O', 2 * depth * depth),
      G: at('G', depth),
    };
    checkFinite(plans.V_mag, 'magnitudes');
    const [fault, complete, confidence] = ['fault', 'complete', 'confidence'].map((name) =>
      outputs[name] ? at(name, 1) : null,
    );
    const values = at('value', 1);
    if (!fault || !complete || !confidence) return { plans, values, ...unsaid(texts.length) };
    const judged = texts.map((_, i) => ({
      ...{ fault: fault[i]!, complete: complete[i]!, confidence: confidence[i]! },
    }));
    return {
      plans,
      values,
      ...judge(
        texts.map((text) => this.tokenizer.read(text)),
        judged,
        this,
      ),
    };
  }

  /** `predictPlans`, by the name that `PredictorModel` has for it. */
  predictTexts(texts: readonly string[]): Promise<PredictedPlans> {
    return this.predictPlans(texts);
  }

  /** The plan of one text, its expression, value and doubt. @throws {ModelError} `bad-input`, as `predictPlans`. */
  async predict(text: string): Promise<PredictedValue> {
    const { plans, values, confidences, refusals } = await this.predictPlans([text]);
    return predictedValue(text, {
      ...{ plans, value: values[0]!, confidence: confidences[0]!, refusal: refusals[0]! },
      doubt: (value) => this.doubt(text, value),
    });
  }

  /** As `PredictorModel.doubt`. */
  doubt(text: string, value: number): string | null {
    return doubtOf(text, value, this);
  }

  /** As `PredictorModel.wereTrained`. */
  wereTrained(tokens: readonly number[]): boolean[] {
    checkList('token ids as an array', tokens);
    // Throws for ids outside the vocabulary.
    for (const id of tokens) this.tokenizer.record(id);
    return Array.from(tokens, (id) => this.#trained?.has(this.tokenizer.row(id)) ?? true);
  }

  /** Frees the memory of the runtime's session. */
  async release(): Promise<void> {
    await this.#session.release();
  }
}

async function loadRuntime(): Promise<Runtime> {
  try {
    return (await import(RUNTIME)) as Runtime;
  } catch (error) {
    throw new ModelError('no-runtime', `${RUNTIME} is not there; \`npm install ${RUNTIME}\` installs it`, {
      cause: error,
    });
  }
}

async function readModel(path: string): Promise<Uint8Array> {
  try {
    return await readRegularFile(path);
  } catch (error) {
    throw new ModelError('bad-file', `${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

interface ModelMetadata {
  readonly config: PredictorConfig;
  readonly trained: ReadonlySet<number> | null;
}

function metadataOf(bytes: Uint8Array): ModelMetadata {
  let metadata: Map<string, string>;
  try {
    metadata = decodeMetadata(bytes);
  } catch (error) {
    throw new ModelError('bad-file', 'the file is not an ONNX model', { cause: error });
  }
  const rows = metadata.get(ROWS);
  return {
    config: configFrom<PredictorConfig>(metadata.get('config'), 'exportOnnx'),
    trained: rows === undefined ? null : new Set(rows.split(' ').map(Number)),
  };
}
