import { createRequire } from 'node:module';
import type protobuf from 'protobufjs/light.js';

/**
 * The messages of onnx.proto (github.com/onnx/onnx, IR version 8) that an exported model has, with their field numbers.
 * Types of tensors are `DataType`, types of attributes `AttributeType`.
 */
const SCHEMA = {
  nested: {
    ModelProto: {
      fields: {
        irVersion: { id: 1, type: 'int64' },
        opsetImport: { id: 8, rule: 'repeated', type: 'OperatorSetIdProto' },
        producerName: { id: 2, type: 'string' },
        producerVersion: { id: 3, type: 'string' },
        docString: { id: 6, type: 'string' },
        graph: { id: 7, type: 'GraphProto' },
        metadataProps: { id: 14, rule: 'repeated', type: 'StringStringEntryProto' },
      },
    },
    OperatorSetIdProto: { fields: { domain: { id: 1, type: 'string' }, version: { id: 2, type: 'int64' } } },
    StringStringEntryProto: { fields: { key: { id: 1, type: 'string' }, value: { id: 2, type: 'string' } } },
    GraphProto: {
      fields: {
        node: { id: 1, rule: 'repeated', type: 'NodeProto' },
        name: { id: 2, type: 'string' },
        initializer: { id: 5, rule: 'repeated', type: 'TensorProto' },
        input: { id: 11, rule: 'repeated', type: 'ValueInfoProto' },
        output: { id: 12, rule: 'repeated', type: 'ValueInfoProto' },
      },
    },
    NodeProto: {
      fields: {
        input: { id: 1, rule: 'repeated', type: 'string' },
        output: { id: 2, rule: 'repeated', type: 'string' },
        name: { id: 3, type: 'string' },
        opType: { id: 4, type: 'string' },
        attribute: { id: 5, rule: 'repeated', type: 'AttributeProto' },
      },
    },
    AttributeProto: {
      fields: {
        name: { id: 1, type: 'string' },
        f: { id: 2, type: 'float' },
        i: { id: 3, type: 'int64' },
        s: { id: 4, type: 'bytes' },
        ints: { id: 8, rule: 'repeated', type: 'int64', options: { packed: false } },
        type: { id: 20, type: 'int32' },
      },
    },
    TensorProto: {
      fields: {
        dims: { id: 1, rule: 'repeated', type: 'int64', options: { packed: false } },
        dataType: { id: 2, type: 'int32' },
        name: { id: 8, type: 'string' },
        rawData: { id: 9, type: 'bytes' },
      },
    },
    ValueInfoProto: { fields: { name: { id: 1, type: 'string' }, type: { id: 2, type: 'TypeProto' } } },
    TypeProto: { fields: { tensorType: { id: 1, type: 'TensorTypeProto' } } },
    TensorTypeProto: {
      fields: { elemType: { id: 1, type: 'int32' }, shape: { id: 2, type: 'TensorShapeProto' } },
    },
    TensorShapeProto: { fields: { dim: { id: 1, rule: 'repeated', type: 'Dimension' } } },
    Dimension: { fields: { dimValue: { id: 1, type: 'int64' }, dimParam: { id: 2, type: 'string' } } },
  },
};

let model: protobuf.Type | undefined;

/** Loads protobufjs at the first model that is written or read: most programs that load this package do neither. */
function modelProto(): protobuf.Type {
  if (!model) {
    const { Root } = createRequire(import.meta.url)('protobufjs/light.js') as typeof protobuf;
    model = Root.fromJSON(SCHEMA).lookupType('ModelProto');
  }
  return model;
}

/** `TensorProto.DataType`. */
export const DataType = { f32: 1, u8: 2, i32: 6, i64: 7, bool: 9, f64: 11 } as const;
export type DataType = keyof typeof DataType;

/** `AttributeProto.AttributeType`. */
export const AttributeType = { float: 1, int: 2, string: 3, ints: 7 } as const;

/** The bytes of a ModelProto; keys are those of the schema above. */
export function encodeModel(message: Record<string, unknown>): Uint8Array {
  const model = modelProto();
  return model.encode(model.create(message)).finish();
}

/** The metadata of a ModelProto. @throws if the bytes are not a ModelProto. */
export function decodeMetadata(bytes: Uint8Array): Map<string, string> {
  const model = modelProto();
  const { metadataProps } = model.toObject(model.decode(bytes), { arrays: true }) as {
    metadataProps: { key: string; value: string }[];
  };
  return new Map(metadataProps.map(({ key, value }) => [key, value]));
}
