// fast-check as the tests import it, but `assert` runs each property for MELTEMI_FUZZ_MS milliseconds, whatever number of runs the test asks for.
import * as fastCheck from 'fast-check';
import type { IAsyncProperty, IProperty, Parameters, RunDetails } from 'fast-check';

export * from 'fast-check';
export default { ...fastCheck, assert };

/** More runs than any time allows: the time limit ends a property. */
const endlessRuns = 1_000_000_000;

/** fast-check's `assert`, run by the clock. Says how many cases it tried; a failure's message names seed and path. */
export function assert<T>(property: IProperty<T> | IAsyncProperty<T>, parameters: Parameters<T> = {}): void | Promise<void> {
  const started = performance.now();
  const longer: Parameters<T> = {
    ...parameters, numRuns: endlessRuns, markInterruptAsFailure: false, interruptAfterTimeLimit: Number(process.env['MELTEMI_FUZZ_MS'] ?? 5000),
    ...(process.env['MELTEMI_FUZZ_SEED'] ? { seed: Number(process.env['MELTEMI_FUZZ_SEED']) } : {}),
  };
  const outcome: unknown = fastCheck.check(property, longer);
  return outcome instanceof Promise ? outcome.then((details: RunDetails<T>) => judge(details, started)) : judge(outcome as RunDetails<T>, started);
}

function judge<T>(details: RunDetails<T>, started: number): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`fuzz: ${details.numRuns} cases in ${seconds} s, seed ${details.seed}${details.failed ? `, FAILED at path ${details.counterexamplePath ?? '?'}` : ''}`);
  if (details.failed) throw new Error(fastCheck.defaultReportMessage(details) ?? 'the property failed');
}
