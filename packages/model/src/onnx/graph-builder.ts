import type { ArrayOps } from '../plan-predictor/array-ops.js';
import { AttributeType, DataType, encodeModel } from './proto.js';

/** The name of a tensor in the graph. */
export type Value = string & { readonly __value: true };

type Attributes = Readonly<Record<string, number | string | readonly number[]>>;
type Data = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;

interface Port {
  readonly name: string;
  readonly type: DataType;
  /** A number, or the name of a dynamic dimension, whose size may differ in each run. */
  readonly shape: readonly (number | string)[];
}

/** Operator set of the graph: the first with Gelu. Every runtime of 2024 and later has it. */
const OPSET = 20;
const IR_VERSION = 9;

/** Builds a graph of standard ONNX operators, node by node. Names of values are generated; equal constants are shared. */
export class GraphBuilder implements ArrayOps<Value> {
  readonly #nodes: object[] = [];
  readonly #initializers: object[] = [];
  readonly #constants = new Map<string, Value>();
  readonly #inputs: Port[] = [];
  readonly #outputs: Port[] = [];
  #count = 0;

  input(name: string, type: DataType, shape: Port['shape']): Value {
    this.#inputs.push({ name, type, shape });
    return name as Value;
  }

  output(name: string, value: Value, type: DataType, shape: Port['shape']): void {
    this.#outputs.push({ name, type, shape });
    this.#nodes.push({ opType: 'Identity', input: [value], output: [name] });
  }

  /** A weight or table. */
  tensor(data: Data, dims: readonly number[]): Value {
    const name = this.#name('c');
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#initializers.push({ name, dims, dataType: DataType[typeOf(data)], rawData });
    return name;
  }

  f64(values: number | readonly number[] | Float64Array, dims?: readonly number[]): Value {
    return this.#constant('f64', values, dims, (list) => Float64Array.from(list));
  }
  f32(values: number | readonly number[], dims?: readonly number[]): Value {
    return this.#constant('f32', values, dims, (list) => Float32Array.from(list));
  }
  i64(values: number | readonly number[], dims?: readonly number[]): Value {
    return this.#constant('i64', values, dims, (list) => BigInt64Array.from(list, BigInt));
  }

  #constant(
    type: DataType,
    values: number | readonly number[] | Float64Array,
    dims: readonly number[] = typeof values === 'number' ? [] : [values.length],
    make: (values: readonly number[]) => Data,
  ): Value {
    const list = typeof values === 'number' ? [values] : [...values];
    const key = `${type} ${dims.join()} ${list.map((x) => (Object.is(x, -0) ? '-0' : x)).join()}`;
    const known = this.#constants.get(key);
    if (known) return known;
    const made = this.tensor(make(list), dims);
    this.#constants.set(key, made);
    return made;
  }

  op(type: string, inputs: readonly Value[], attributes: Attributes = {}): Value {
    return this.ops(type, inputs, 1, attributes)[0]!;
  }

  /** A node with several outputs. */
  ops(type: string, inputs: readonly Value[], outputs: number, attributes: Attributes = {}): Value[] {
    const output = Array.from({ length: outputs }, () => this.#name('v'));
    const attribute = Object.entries(attributes).map(([name, value]) =>
      typeof value === 'number'
        ? Number.isInteger(value)
          ? { name, i: value, type: AttributeType.int }
          : { name, f: value, type: AttributeType.float }
        : typeof value === 'string'
          ? { name, s: new TextEncoder().encode(value), type: AttributeType.string }
          : { name, ints: value, type: AttributeType.ints },
    );
    this.#nodes.push({ opType: type, input: inputs, output, attribute });
    return output;
  }

  readonly add = (a: Value, b: Value): Value => this.op('Add', [a, b]);
  readonly sub = (a: Value, b: Value): Value => this.op('Sub', [a, b]);
  readonly mul = (a: Value, b: Value): Value => this.op('Mul', [a, b]);
  readonly div = (a: Value, b: Value): Value => this.op('Div', [a, b]);
  readonly matmul = (a: Value, b: Value): Value => this.op('MatMul', [a, b]);
  readonly abs = (x: Value): Value => this.op('Abs', [x]);
  readonly exp = (x: Value): Value => this.op('Exp', [x]);
  readonly log = (x: Value): Value => this.op('Log', [x]);
  readonly clamp = (x: Value, least: number, most: number): Value =>
    this.op('Clip', [x, this.f64(least), this.f64(most)]);
  readonly equal = (a: Value, b: Value): Value => this.cast(this.op('Equal', [a, b]), 'f64');
  readonly atLeast = (a: Value, b: Value): Value => this.cast(this.op('GreaterOrEqual', [a, b]), 'f64');
  readonly argmax = (x: Value): Value => this.cast(this.op('ArgMax', [x], { axis: -1, keepdims: 1 }), 'f64');
  readonly where = (condition: Value, yes: Value, no: Value): Value => this.op('Where', [condition, yes, no]);
  readonly concat = (values: readonly Value[], axis: number): Value => this.op('Concat', values, { axis });
  readonly cast = (x: Value, to: DataType): Value => this.op('Cast', [x], { to: DataType[to] });
  readonly transpose = (x: Value, perm: readonly number[]): Value => this.op('Transpose', [x], { perm });
  readonly reshape = (x: Value, dims: readonly number[]): Value => this.op('Reshape', [x, this.i64(dims)]);
  readonly unsqueeze = (x: Value, ...axes: number[]): Value => this.op('Unsqueeze', [x, this.i64(axes)]);
  readonly slice = (x: Value, axis: number, from: number, to: number): Value =>
    this.op('Slice', [x, this.i64([from]), this.i64([to]), this.i64([axis])]);
  readonly select = (x: Value, axis: number, index: number): Value =>
    this.op('Gather', [x, this.i64(index)], { axis });
  readonly sum = (x: Value, axis: number, keepdims = false): Value =>
    this.op('ReduceSum', [x, this.i64([axis])], { keepdims: Number(keepdims) });
  readonly cumsum = (x: Value, axis: number): Value => this.op('CumSum', [x, this.i64(axis)]);
  /** One column each, (…, 1). */
  readonly columns = (x: Value, axis: number, count: number): Value[] =>
    count === 1 ? [x] : this.ops('Split', [x], count, { axis, num_outputs: count });

  #name(kind: string): Value {
    return `${kind}${this.#count++}` as Value;
  }

  /** The bytes of the model file. */
  encode(name: string, metadata: Readonly<Record<string, string>>): Uint8Array {
    return encodeModel({
      irVersion: IR_VERSION,
      opsetImport: [{ domain: '', version: OPSET }],
      producerName: '@dag/model',
      metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
      graph: {
        name,
        node: this.#nodes,
        initializer: this.#initializers,
        input: this.#inputs.map(valueInfo),
        output: this.#outputs.map(valueInfo),
      },
    });
  }
}

function typeOf(data: Data): DataType {
  if (data instanceof Float32Array) return 'f32';
  if (data instanceof Float64Array) return 'f64';
  if (data instanceof Int32Array) return 'i32';
  return data instanceof Uint8Array ? 'u8' : 'i64';
}

function valueInfo({ name, type, shape }: Port): object {
  const dim = shape.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: DataType[type], shape: { dim } } } };
}
