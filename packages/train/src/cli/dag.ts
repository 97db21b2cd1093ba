import { reportError } from './report-error.js';
import { runDag } from './run-dag.js';
import { guardStreams } from './streams.js';

guardStreams();
process.on('uncaughtException', (error) => {
  reportError(error);
  process.exit();
});
await runDag(process.argv.slice(2));
