// Waiting for what another callback will make true.

const PATIENCE_MS = 10_000;

/** Resolves when `isTrue`; rejects after ten seconds. */
export async function until(isTrue: () => boolean): Promise<void> {
  const startMs = performance.now();
  while (!isTrue()) {
    if (performance.now() - startMs > PATIENCE_MS) throw new Error(`never true: ${String(isTrue)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
