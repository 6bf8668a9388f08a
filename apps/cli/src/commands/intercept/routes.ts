import type { RouteStep } from '@meltemi/capture';
import { failed, run } from './run.ts';

/** Adds what is not there yet, and returns that; all of it is taken back when a step fails. */
export async function addRoutes(steps: readonly RouteStep[]): Promise<readonly RouteStep[]> {
  const added: RouteStep[] = [];
  for (const step of steps) {
    const done = await run('ip', step.add);
    if (done.code === 0) added.push(step);
    else if (!/File exists|already assigned/.test(done.err)) {
      await removeRoutes(added);
      throw failed(`ip ${step.add.join(' ')}`, done);
    }
  }
  return added;
}

/** What is not there is no failure. */
export async function removeRoutes(steps: readonly RouteStep[]): Promise<void> {
  for (const step of steps.toReversed()) await run('ip', step.remove);
}
