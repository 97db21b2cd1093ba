/** Registers the backend `cuda`: `import '@dag/executor/cuda'`. */
import { cuda } from './backends/cuda/index.js';
import { registerBackend } from './devices.js';

registerBackend(cuda);

export {
  joinNccl,
  ncclUniqueId,
  ncclVersion,
  type JoinNcclOptions,
  type NcclCommunicator,
} from './ops/nccl.js';
