/** Importing this makes the backend `cuda` known: `import '@dag/executor/cuda'`. */
import { cuda } from './backends/cuda/index.js';
import { registerBackend } from './devices.js';

registerBackend(cuda);
