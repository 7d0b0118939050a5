import { createRequire } from 'node:module';
import { ATTR, DT, type OpAttr, type Values } from '../tf.ts';

/** Writes a TensorFlow graph, node by node, as a SavedModel. Knows nothing of models or recordings. */

interface Message {
  serializeBinary(): Uint8Array;
}
interface ListValue extends Message {
  setIList(v: number[]): void;
  setFList(v: number[]): void;
  setBList(v: boolean[]): void;
}
interface TensorShape extends Message {
  addDim(v: Message): void;
}
interface AttrValue extends Message {
  setList(v: ListValue): void;
  setS(v: Uint8Array): void;
  setI(v: number): void;
  setF(v: number): void;
  setB(v: boolean): void;
  setType(v: number): void;
  setShape(v: Message): void;
  setTensor(v: Message): void;
}
interface TensorProto extends Message {
  setDtype(v: number): void;
  setTensorShape(v: Message): void;
  setTensorContent(v: Uint8Array): void;
}
interface NodeDef extends Message {
  setName(v: string): void;
  setOp(v: string): void;
  setInputList(v: string[]): void;
  getAttrMap(): { set(name: string, value: AttrValue): void };
}
interface Protos {
  AttrValue: { new (): AttrValue; ListValue: new () => ListValue };
  TensorShape: { new (): TensorShape; Dim: new () => Message & { setSize(v: number): void } };
  Tensor: new () => TensorProto;
  NodeDef: new () => NodeDef;
  GraphDef: new () => Message & { addNode(v: NodeDef): void; setVersions(v: Message): void };
  VersionDef: new () => Message & { setProducer(v: number): void };
  MetaGraphDef: {
    new (): Message & { setMetaInfoDef(v: Message): void; setGraphDef(v: Message): void };
    MetaInfoDef: new () => Message & { setTagsList(v: string[]): void };
  };
  SavedModel: new () => Message & {
    setSavedModelSchemaVersion(v: number): void;
    addMetaGraphs(v: Message): void;
  };
}

// The messages that tfjs-node itself reads SavedModels with.
const protos = createRequire(import.meta.url)(
  '@tensorflow/tfjs-node-gpu/dist/proto/api_pb.js',
) as Protos;

export const TAG = 'serve';

/** TensorFlow 2.9's, the release whose operations tfjs 4.22 calls. */
const GRAPH_VERSION = 1087;

function shapeProto(shape: readonly number[]): TensorShape {
  const proto = new protos.TensorShape();
  for (const size of shape) {
    const dim = new protos.TensorShape.Dim();
    dim.setSize(size);
    proto.addDim(dim);
  }
  return proto;
}

function attrValue({ name, type, value }: OpAttr): AttrValue {
  const proto = new protos.AttrValue();
  if (Array.isArray(value) && type !== ATTR.shape) {
    const list = new protos.AttrValue.ListValue();
    if (type === ATTR.int) list.setIList(value as number[]);
    else if (type === ATTR.float) list.setFList(value as number[]);
    else if (type === ATTR.bool) list.setBList(value as boolean[]);
    else throw new TypeError(`attribute '${name}': a list of kind ${type} is not known`);
    proto.setList(list);
    return proto;
  }
  switch (type) {
    case ATTR.string:
      proto.setS(new TextEncoder().encode(String(value)));
      break;
    case ATTR.int:
      proto.setI(Number(value));
      break;
    case ATTR.float:
      proto.setF(Number(value));
      break;
    case ATTR.bool:
      proto.setB(Boolean(value));
      break;
    case ATTR.type:
      proto.setType(Number(value));
      break;
    case ATTR.shape:
      proto.setShape(shapeProto(value as number[]));
      break;
    default:
      throw new TypeError(`attribute '${name}' has the unknown kind ${type}`);
  }
  return proto;
}

export const typeAttr = (name: string, value: number): OpAttr => ({ name, type: ATTR.type, value });
export const shapeAttr = (name: string, value: readonly number[]): OpAttr => ({
  name,
  type: ATTR.shape,
  value: [...value],
});
export const stringAttr = (name: string, value: string): OpAttr => ({
  name,
  type: ATTR.string,
  value,
});

/** Attributes of StridedSlice on bytes. Bit i of `whole` selects all of axis i, and begin and end are ignored there. */
export const sliceAttrs = (whole: number): OpAttr[] => [
  typeAttr('T', DT.uint8),
  typeAttr('Index', DT.int32),
  ...Object.entries({
    begin_mask: whole,
    end_mask: whole,
    ellipsis_mask: 0,
    new_axis_mask: 0,
    shrink_axis_mask: 0,
  }).map(([name, value]) => ({ name, type: ATTR.int, value })),
];

/** Returns a control input: the node runs after `source` and takes no value from it. */
export const controlInput = (source: string): string => `^${source.replace(/:\d+$/, '')}`;

/** A graph under construction. Methods return the name of the node that they add. */
export class GraphBuilder {
  readonly #graph = new protos.GraphDef();

  constructor() {
    // Without a version TensorFlow reads the graph by the rules of its first release.
    const version = new protos.VersionDef();
    version.setProducer(GRAPH_VERSION);
    this.#graph.setVersions(version);
  }

  node(name: string, op: string, inputs: readonly string[], attrs: readonly OpAttr[] = []): string {
    return this.#add(name, op, inputs, attrs).name;
  }

  placeholder(name: string, shape: readonly number[], dtype: number): string {
    return this.node(
      name,
      'Placeholder',
      [],
      [typeAttr('dtype', dtype), shapeAttr('shape', shape)],
    );
  }

  constant(name: string, shape: readonly number[], dtype: number, values: Values): string {
    const tensor = new protos.Tensor();
    tensor.setDtype(dtype);
    tensor.setTensorShape(shapeProto(shape));
    tensor.setTensorContent(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    const value = new protos.AttrValue();
    value.setTensor(tensor);
    const added = this.#add(name, 'Const', [], [typeAttr('dtype', dtype)]);
    added.def.getAttrMap().set('value', value);
    return added.name;
  }

  scalar(name: string, value: number): string {
    return this.constant(name, [], DT.float32, Float32Array.of(value));
  }

  /** A float32 variable; the node is its handle. */
  variable(name: string, shape: readonly number[]): string {
    return this.node(
      name,
      'VarHandleOp',
      [],
      [typeAttr('dtype', DT.float32), shapeAttr('shape', shape), stringAttr('shared_name', name)],
    );
  }

  read(name: string, variable: string): string {
    return this.node(name, 'ReadVariableOp', [variable], [typeAttr('dtype', DT.float32)]);
  }

  /** Passes `input` on; runs only after the nodes `after`. */
  identity(name: string, input: string, dtype: number, after: readonly string[] = []): string {
    return this.node(name, 'Identity', [input, ...after.map(controlInput)], [typeAttr('T', dtype)]);
  }

  savedModel(): Uint8Array {
    const info = new protos.MetaGraphDef.MetaInfoDef();
    info.setTagsList([TAG]);
    const meta = new protos.MetaGraphDef();
    meta.setMetaInfoDef(info);
    meta.setGraphDef(this.#graph);
    const model = new protos.SavedModel();
    model.setSavedModelSchemaVersion(1);
    model.addMetaGraphs(meta);
    return model.serializeBinary();
  }

  #add(name: string, op: string, inputs: readonly string[], attrs: readonly OpAttr[]) {
    const def = new protos.NodeDef();
    def.setName(name);
    def.setOp(op);
    def.setInputList([...inputs]);
    for (const attr of attrs) def.getAttrMap().set(attr.name, attrValue(attr));
    this.#graph.addNode(def);
    return { name, def };
  }
}
