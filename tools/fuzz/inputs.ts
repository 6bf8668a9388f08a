// `npm run fuzz -- --inputs N`: that many inputs through each target of @meltemi/proxy's list, each target in a worker of its own.
import { Worker } from 'node:worker_threads';
import { fuzzTargets } from '@meltemi/proxy/testing';
import type { TargetDone, TargetJob } from './target-worker.ts';

export interface InputsRun {
  readonly inputs: number;
  /** Only the target of this name, or those whose name contains it. */
  readonly only: string;
  readonly seed: number;
  /** Only this input: to see a finding again. */
  readonly input: number | null;
  /** Longest that one input may take, in milliseconds. */
  readonly stuckMs: number;
}

/** The process's exit code: 1 when anything was found, 2 when no target has that name. */
export async function runInputs(run: InputsRun): Promise<number> {
  const all = fuzzTargets.map(({ name }) => name);
  const names = all.includes(run.only) ? [run.only] : all.filter((name) => name.includes(run.only));
  if (names.length === 0) {
    console.error(`no target has "${run.only}" in its name; there are ${all.join(', ')}`);
    return 2;
  }
  let failed = 0;
  for (const name of names) if (!(await runOne(name, run))) failed++;
  return failed > 0 ? 1 : 0;
}

async function runOne(target: string, { inputs, seed, input, stuckMs }: InputsRun): Promise<boolean> {
  const at = new Int32Array(new SharedArrayBuffer(4));
  const job: TargetJob = { target, seed, from: input ?? 0, inputs: input === null ? inputs : 1, at };
  const worker = new Worker(new URL('./target-worker.ts', import.meta.url), { workerData: job });
  const started = performance.now();
  const finding = await new Promise<TargetDone['finding']>((resolve, reject) => {
    const watch = setInterval(watcher(at, job.inputs, (stuck) => resolve({ input: stuck, bytes: null, error: `it has not come back after ${stuckMs} ms` })), stuckMs);
    worker.once('message', ({ finding: found }: TargetDone) => resolve(found)).once('error', reject).once('exit', () => clearInterval(watch));
  });
  await worker.terminate();
  const seconds = (performance.now() - started) / 1000;
  if (finding === null) {
    console.log(`fuzz: ${target}: ${job.inputs} inputs, seed ${seed}, in ${seconds.toFixed(1)} s (${Math.round(job.inputs / seconds)} a second): nothing found`);
    return true;
  }
  console.error(`fuzz: ${target}: FAILED at input ${finding.input} of seed ${seed} after ${seconds.toFixed(1)} s: ${finding.error}`);
  if (finding.bytes !== null) console.error(`  bytes: ${JSON.stringify(finding.bytes)}`);
  console.error(`  again: npm run fuzz -- --inputs 1 --only ${target} --seed ${seed} --input ${finding.input}`);
  return false;
}

/** Looks now and then: the same input twice in a row is stuck. Says how far it is once a minute. */
function watcher(at: Int32Array, inputs: number, stuck: (input: number) => void): () => void {
  let before = -1;
  let said = performance.now();
  return () => {
    const now = Atomics.load(at, 0);
    if (now === before) stuck(now);
    before = now;
    if (performance.now() - said < 60_000) return;
    said = performance.now();
    console.log(`  … ${now} of ${inputs}`);
  };
}
