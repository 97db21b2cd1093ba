export { type DagTensors } from './dag-tensors.js';
