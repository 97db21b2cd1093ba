/** Prints one plain line, `N passed, N failed`, after everything else: the line that CI reads. */
export default class Summary {
  onRunComplete(_contexts, results) {
    // A suite that could not start has no failed tests of its own; it still counts as a failure.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const skipped = results.numPendingTests ? `, ${results.numPendingTests} skipped` : '';
    process.on('exit', () => console.log(`${results.numPassedTests} passed, ${failed} failed${skipped}`));
  }
}
