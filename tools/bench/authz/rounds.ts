/** Something that is measured: `run` does all of it `per` times. */
export interface Contestant {
  readonly name: string;
  readonly per: number;
  readonly run: () => void;
}

/** Nanoseconds each, one number per round. Contestants take turns, after a warm-up of each, so that a slow minute hits all alike. */
export function measured(contestants: readonly Contestant[], { rounds, milliseconds }: { readonly rounds: number; readonly milliseconds: number }): Map<string, number[]> {
  const results = new Map(contestants.map(({ name }) => [name, [] as number[]]));
  for (const contestant of contestants) turn(contestant, milliseconds);
  for (let round = 0; round < rounds; round++) for (const contestant of contestants) results.get(contestant.name)?.push(turn(contestant, milliseconds));
  return results;
}

/** CPU of this process, which does nothing else. */
function turn({ per, run }: Contestant, milliseconds: number): number {
  const until = performance.now() + milliseconds;
  const before = process.cpuUsage();
  let times = 0;
  do {
    run();
    times += 1;
  } while (performance.now() < until);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / (times * per);
}
