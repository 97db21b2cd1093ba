/**
 * Resolves in the next turn of the event loop, after the events that have arrived: signals of the system in Node, messages in a worker.
 * Not `setTimeout`, which waits 4 ms in pages.
 */
export function nextTurn(): Promise<void> {
  const { setImmediate: immediate } = globalThis as { setImmediate?: (resolve: () => void) => unknown };
  return new Promise((resolve) => {
    if (immediate) return void immediate(resolve);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
