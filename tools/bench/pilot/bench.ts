// `npm run bench -- pilot`: CPU and bytes of one pilot to serve a new proxy, and to push one endpoint change, in a mesh of many services.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { MeshProcess, programCommand, repository } from '@meltemi/harness';
import { waitFor } from '@meltemi/base';
import { machine, machineLine, processUsage, threadCpuMicros } from '../machine.ts';
import { spread, spreadText, table } from '../statistics.ts';
import { AdsProxy } from './ads-proxy.ts';
import { ByteCounter } from './byte-counter.ts';
import { writeChangingPod, writeMesh } from './mesh-files.ts';

const usage = `npm run bench -- pilot [options]: what one pilot spends, over plaintext xDS on loopback, with delta ADS clients.

  --services N    in the mesh (default 1000)
  --endpoints N   of each service (default 5)
  --proxies N     connected one after another (default 20)
  --changes N     endpoint changes pushed to one proxy, then to all (default 20)
  --json FILE     where the numbers go (default .meltemi/bench/pilot.json)`;

/** What one step cost pilot. */
interface Cost {
  readonly cpuMs: number;
  readonly bytes: number;
  readonly elapsedMs: number;
}

interface Settings {
  readonly services: number;
  readonly endpoints: number;
  readonly proxies: number;
  readonly changes: number;
  readonly json: string;
}

/** What is running, for whoever must stop it. */
interface Running {
  readonly dir: string;
  readonly pilot: MeshProcess;
  readonly proxies: AdsProxy[];
  counter: ByteCounter | undefined;
}

async function main(): Promise<number> {
  const settings = readSettings();
  if (typeof settings === 'number') return settings;
  const dir = mkdtempSync(join(tmpdir(), 'meltemi-bench-'));
  const command = [...programCommand('pilot', 'bundle'), '--config-dir', join(dir, 'mesh'), '--config-dir', join(dir, 'changing'), '--state-dir', join(dir, 'state'), '--plaintext-listen', '127.0.0.1:0',
    '--admin-listen', '127.0.0.1:0', '--log-level', 'warn', '--ports-file', join(dir, 'ports.json')] as [string, ...string[]];
  const running: Running = { dir, proxies: [], counter: undefined, pilot: new MeshProcess({ name: 'pilot', command, logFile: join(dir, 'pilot.log'), portsFile: join(dir, 'ports.json') }) };
  const stop = async () => {
    await Promise.all(running.proxies.map((proxy) => proxy.stop()));
    await running.counter?.stop();
    await running.pilot.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop().finally(() => process.exit(130)));
  try {
    await bench(settings, running);
    return 0;
  } catch (cause) {
    console.error(`${cause instanceof Error ? cause.message : String(cause)}\n${running.pilot.tail()}`);
    return 1;
  } finally {
    await stop();
  }
}

async function bench(settings: Settings, running: Running): Promise<void> {
  const facts = machine();
  console.log(`${machineLine(facts)}\n${settings.services} services with ${settings.endpoints} endpoints each\n`);
  const results = await measure(settings, running);
  const rows = Object.entries(results.costs).map(([name, costs]) => [name, ...(['cpuMs', 'bytes', 'elapsedMs'] as const).map((field) => spreadText(spread(costs.map((cost) => cost[field])), field === 'bytes' ? 0 : 1))]);
  console.log(`${table([['', 'CPU ms', 'bytes on the wire', 'elapsed ms'], ...rows])}\n\nresources of one proxy: ${results.resourceBytes} bytes; pilot's RSS: ${(results.rssBytes / 2 ** 20).toFixed(0)} MB`);
  mkdirSync(dirname(settings.json), { recursive: true });
  writeFileSync(settings.json, `${JSON.stringify({ machine: facts, command: `npm run bench -- pilot ${process.argv.slice(2).join(' ')}`.trim(), settings, ...results }, null, 2)}\n`);
  console.log(`\n${settings.json}`);
}

async function measure(settings: Settings, running: Running) {
  const { dir, pilot, proxies } = running;
  writeMesh(join(dir, 'mesh'), settings);
  let generation = 1;
  writeChangingPod(join(dir, 'changing'), generation);
  await pilot.start();
  const { admin, 'xds-plaintext': xds } = pilot.ports();
  if (admin === undefined || xds === undefined) throw new Error(`pilot's ports file names no admin or xds-plaintext port: ${JSON.stringify(pilot.ports())}`);
  const counter = await ByteCounter.start(xds);
  running.counter = counter;
  await waitFor('pilot to be ready', async () => (await fetch(`http://127.0.0.1:${admin}/healthz/ready`)).ok, { deadlineMs: 60_000, everyMs: 100 });
  const startCpuMs = threadCpuMicros(pilot.pid) / 1000;

  const cost = async (what: string, act: () => void, done: () => boolean): Promise<Cost> => {
    await calm(pilot.pid);
    const [cpu, bytes, started] = [threadCpuMicros(pilot.pid), counter.sent, performance.now()];
    act();
    await waitFor(what, done, { deadlineMs: 60_000, everyMs: 2 });
    const elapsedMs = performance.now() - started;
    await calm(pilot.pid);
    return { cpuMs: (threadCpuMicros(pilot.pid) - cpu) / 1000, bytes: counter.sent - bytes, elapsedMs };
  };
  const connect = () => cost('a new proxy to be served', () => proxies.push(new AdsProxy(counter.port, proxies.length)), () => proxies.at(-1)?.served === true);
  const change = () => {
    let address = '';
    return cost('an endpoint change to arrive', () => (address = writeChangingPod(join(dir, 'changing'), ++generation)), () => proxies.every((proxy) => proxy.hasEndpoint(address)));
  };
  const costs: Record<string, Cost[]> = {};
  costs['first proxy'] = [await connect()];
  costs['endpoint change, 1 proxy'] = await times(settings.changes, change);
  costs['next proxy'] = await times(settings.proxies - 1, connect);
  costs[`endpoint change, ${settings.proxies} proxies`] = await times(settings.changes, change);
  return { costs, startCpuMs, resourceBytes: proxies[1]?.resourceBytes ?? proxies[0]?.resourceBytes ?? 0, rssBytes: processUsage(pilot.pid).rssBytes };
}

/** Waits until the process has rested for a tenth of a second, so that a step's tail counts to it and not to the next. */
async function calm(pid: number): Promise<void> {
  let before = threadCpuMicros(pid);
  await waitFor('pilot to come to rest', () => {
    const now = threadCpuMicros(pid);
    const rested = now - before < 2000;
    before = now;
    return rested;
  }, { deadlineMs: 60_000, everyMs: 150 });
}

async function times(count: number, act: () => Promise<Cost>): Promise<Cost[]> {
  const costs: Cost[] = [];
  for (let i = 0; i < count; i++) costs.push(await act());
  return costs;
}

function readSettings(): Settings | number {
  const number = (fallback: string) => ({ type: 'string', default: fallback }) as const;
  const { values } = parseArgs({
    options: { services: number('1000'), endpoints: number('5'), proxies: number('20'), changes: number('20'), json: number(join(repository, '.meltemi/bench/pilot.json')), help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const [services = 0, endpoints = 0, proxies = 0, changes = 0] = [values.services, values.endpoints, values.proxies, values.changes].map(Number);
  if (![services, endpoints, proxies, changes].every((value) => Number.isInteger(value) && value > 0) || endpoints > 200 || services > 50_000) {
    console.error(usage);
    return 2;
  }
  if (!existsSync(join(repository, 'apps/pilot/dist/main.js'))) {
    console.error('apps/pilot/dist/main.js is missing: npx nx run meltemi-pilot:build');
    return 1;
  }
  return { services, endpoints, proxies, changes, json: resolve(values.json) };
}

process.exitCode = await main();
