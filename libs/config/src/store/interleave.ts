/**
 * The events of several iterables as they come, each with the index of where it came from. Pulls at most one event ahead of the consumer from each.
 * Ends when all have ended; stopping early ends them too. An iterable that throws ends the whole with its error.
 */
export async function* interleave<T>(iterables: readonly AsyncIterable<T>[]): AsyncGenerator<{ readonly from: number; readonly event: T }> {
  const iterators = iterables.map((each) => each[Symbol.asyncIterator]());
  const ready: { from: number; next: IteratorResult<T> | { error: unknown } }[] = [];
  let wake = (): void => undefined;
  // Not Promise.race: it would add a reaction to every quiet iterable's pending promise for each event of a busy one.
  const pull = (from: number): void => {
    const arrived = (next: IteratorResult<T> | { error: unknown }): void => {
      ready.push({ from, next });
      wake();
    };
    iterators[from]?.next().then(arrived, (error: unknown) => arrived({ error }));
  };
  let running = iterators.length;
  for (const from of iterators.keys()) pull(from);
  try {
    while (running > 0) {
      const first = ready.shift();
      if (first === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      if ('error' in first.next) throw first.next.error;
      if (first.next.done === true) {
        running -= 1;
        continue;
      }
      yield { from: first.from, event: first.next.value };
      pull(first.from);
    }
  } finally {
    // Not awaited: a generator that waits inside next() queues its return() behind it, and only its signal ends that wait.
    for (const iterator of iterators) iterator.return?.(undefined).catch(() => undefined);
  }
}
