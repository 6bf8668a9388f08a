import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { applyAndWait } from './cli.ts';
import type { LocalMesh } from './local-mesh.ts';
import { MemoryWatch, type MemoryGrowth } from './memory-watch.ts';
import { repository } from './programs.ts';
import { Traffic } from './traffic.ts';

export interface SoakOptions {
  readonly seconds: number;
  /** Requests a second through the gateway. Default 50. */
  readonly perSecond?: number;
  /** Before memory counts: caches fill, code gets compiled. Default a fifth of the time. */
  readonly warmUpSeconds?: number;
  /** A process whose median memory grew by more has leaked. Default 32 MiB. */
  readonly maxGrowthBytes?: number;
  /** A route is switched by `meltemi apply --wait` this often; 0 never. Default 30. */
  readonly switchSeconds?: number;
  readonly onProgress?: (text: string) => void;
}

export interface SoakReport {
  readonly requests: number;
  readonly switches: number;
  readonly growth: readonly MemoryGrowth[];
  /** One sentence per thing that went wrong; empty means passed. */
  readonly problems: readonly string[];
}

/** Sends traffic through a running Bookinfo mesh and switches its routes; no request may fail, no process end or grow. Never rejects for what the mesh does wrong. */
export async function soak(mesh: LocalMesh, options: SoakOptions): Promise<SoakReport> {
  const { seconds, perSecond = 50, warmUpSeconds = seconds / 5, maxGrowthBytes = 32 * 2 ** 20, switchSeconds = 30, onProgress = () => undefined } = options;
  const problems: string[] = [];
  const memory = new MemoryWatch();
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1000;
  const traffic = new Traffic({ url: `http://${mesh.gateway.address}:8080/productpage`, perSecond }).start();
  let switches = 0;
  const sampleSeconds = Math.min(5, seconds / 20);
  while (elapsed() < seconds && problems.length === 0) {
    await sleep(sampleSeconds * 1000);
    problems.push(...mesh.processes().filter((process) => !process.running).map((process) => `${process.spec.name} ended; its log: ${process.spec.logFile}`));
    if (elapsed() >= warmUpSeconds) memory.sample(mesh.processes().map((process) => ({ name: process.spec.name, pid: process.pid })));
    if (switchSeconds > 0 && elapsed() >= (switches + 1) * switchSeconds) {
      problems.push(...(await switchRoute(mesh, switches++)));
      onProgress(`${Math.round(elapsed())} s, ${switches} switches`);
    }
  }
  const { sent, succeeded, failures } = await traffic.stop();
  const growth = memory.growth();
  if (succeeded !== sent) problems.push(`${sent - succeeded} of ${sent} requests failed:\n${failures.join('\n')}`);
  problems.push(...growth.filter((each) => each.afterBytes - each.beforeBytes > maxGrowthBytes).map((each) => `${each.name} grew from ${mb(each.beforeBytes)} to ${mb(each.afterBytes)} MB`));
  return { requests: sent, switches, growth, problems };
}

/** Bookinfo tasks without faults or timeouts, taken in turn. */
const tasks = ['virtual-service-all-v1', 'virtual-service-reviews-50-v3', 'virtual-service-reviews-test-v2', 'virtual-service-reviews-90-10', 'virtual-service-reviews-v3'];

async function switchRoute(mesh: LocalMesh, turn: number): Promise<string[]> {
  const task = tasks[turn % tasks.length] ?? '';
  try {
    await applyAndWait(mesh, { files: [join(repository, `deploy/samples/bookinfo/networking/${task}.yaml`)] });
    return [];
  } catch (cause) {
    return [`switch to ${task}: ${cause instanceof Error ? cause.message : String(cause)}`];
  }
}

function mb(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
