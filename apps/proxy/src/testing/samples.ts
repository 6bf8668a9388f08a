import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitFor } from '@meltemi/base';
import { request } from './client.ts';
import type { RunningProxy } from './proxy-process.ts';

/** Where the sample bootstraps are. */
export const samples = fileURLToPath(new URL('../../../../deploy/samples/proxy/', import.meta.url));

/** A sample with the ports of a test in place of its own, and a folder of the test in place of /etc/meltemi. Listeners get any port. */
export function sample(name: string, ports: Readonly<Record<string, number>>, dir = ''): string {
  const own: Readonly<Record<string, number>> = { 9901: 0, 10000: 0, ...ports };
  return readFileSync(join(samples, name), 'utf8').replaceAll(/port_value: (\d+)/g, (_all, port: string) => `port_value: ${own[port] ?? port}`).replaceAll('/etc/meltemi/', `${dir}/`);
}

/** The port of a listener that came later than the program's start. */
export const listenerPort = (proxy: RunningProxy, name: string): Promise<number> => waitFor(`listener ${name}`, async () => Number(new RegExp(`${name}::127\\.0\\.0\\.1:(\\d+)`).exec((await request(proxy.port('admin'), { path: '/listeners' })).body)?.[1]) || undefined, { deadlineMs: 10_000 });

/** The admin's counters and gauges, by name. */
export async function statsOf(proxy: RunningProxy): Promise<ReadonlyMap<string, number>> {
  const { body } = await request(proxy.port('admin'), { path: '/stats' });
  return new Map(body.split('\n').map((line) => [line.slice(0, line.lastIndexOf(':')), Number(line.slice(line.lastIndexOf(':') + 1))]));
}
