/** Bounds on waiting. */

/**
 * Waits for a promise, but no longer than `timeoutMs`; what becomes of it afterwards is dropped.
 * @throws what the promise throws, or `late()`
 */
export async function withTimeout<T>(promise: Promise<T>, timeoutMs: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(late()), timeoutMs);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
