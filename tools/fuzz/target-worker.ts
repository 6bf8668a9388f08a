// One fuzz target in a thread of its own, so that an input that hangs can be named and the run ended.
import { parentPort, workerData } from 'node:worker_threads';
import { fuzzTargets, runTarget } from '@meltemi/proxy/testing';

export interface TargetJob {
  readonly target: string;
  readonly seed: number;
  readonly from: number;
  readonly inputs: number;
  /** Shared: the input under way. */
  readonly at: Int32Array;
}

export interface TargetDone {
  readonly finding: { readonly input: number; readonly bytes: string | null; readonly error: string } | null;
}

const job = workerData as TargetJob;
const target = fuzzTargets.find(({ name }) => name === job.target);
if (target === undefined) throw new Error(`no target ${job.target}`);
const found = runTarget(target, { ...job, started: (input) => { job.at[0] = input; } });
const done: TargetDone = { finding: found && { ...found, error: found.error instanceof Error ? (found.error.stack ?? found.error.message) : String(found.error) } };
parentPort?.postMessage(done);
