// `npm run bench -- proxy`: our proxy with the full sidecar filter set beside nginx, haproxy and npm's http-proxy, in turn in one run.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { repository } from '@meltemi/harness';
import { machine, machineLine } from '../machine.ts';
import { check, checkCounted, turn, type Turn } from './measure.ts';
import { peerNames, startBackend, startPeer, type Peer, type PeerName } from './peers.ts';
import { ratios, reportText } from './report.ts';

const usage = `npm run bench -- proxy [options]: CPU per request, throughput, latency and memory of proxies, one worker each.

  --only NAMES       some of ${peerNames.join(',')}
  --rounds N         turns of each (default 5)
  --seconds N        of load per turn (default 4)
  --connections N    keep-alive connections (default 32)
  --json FILE        where the numbers go (default .meltemi/bench/proxy.json)`;

interface Settings {
  readonly only: readonly PeerName[];
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly json: string;
}

async function main(): Promise<number> {
  const settings = readSettings();
  if (typeof settings === 'number') return settings;
  const dir = mkdtempSync(join(tmpdir(), 'meltemi-bench-'));
  const running: Peer[] = [];
  const stop = async () => {
    await Promise.all(running.map((peer) => peer.child.stop()));
    rmSync(dir, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop().finally(() => process.exit(130)));
  try {
    await bench(settings, dir, running);
    return 0;
  } catch (cause) {
    console.error(cause instanceof Error ? cause.message : String(cause));
    return 1;
  } finally {
    await stop();
  }
}

async function bench(settings: Settings, dir: string, running: Peer[]): Promise<void> {
  // The measured proxy has a core of its own; load and backend share the other.
  const cores = availableParallelism() >= 2 ? { proxy: 0, load: 1 } : { proxy: undefined, load: undefined };
  const facts = machine();
  console.log(`${machineLine(facts)}\nproxy on core ${cores.proxy ?? 'any'}, wrk and the nginx backend on core ${cores.load ?? 'any'}; ${settings.connections} keep-alive connections, 1 KB bodies, ${settings.rounds} rounds of ${settings.seconds} s\n`);
  const backend = await startBackend({ dir, core: cores.load });
  running.push(backend);
  const peers: { peer: Peer; turns: Turn[] }[] = [];
  for (const name of settings.only) {
    const peer = await startPeer(name, { dir, backendPort: backend.port, core: cores.proxy });
    running.push(peer);
    await check(peer);
    peers.push({ peer, turns: [] });
  }
  const load = { connections: settings.connections, core: cores.load };
  for (const { peer } of peers) await turn(peer, { ...load, seconds: Math.min(2, settings.seconds) });
  for (let round = 1; round <= settings.rounds; round++)
    for (const each of peers) {
      const measured = await turn(each.peer, { ...load, seconds: settings.seconds });
      each.turns.push(measured);
      console.log(`round ${round} ${each.peer.name}: ${measured.cpuMicrosPerRequest.toFixed(1)} µs, ${measured.perSecond.toFixed(0)}/s`);
    }
  for (const { peer, turns } of peers) await checkCounted(peer, turns.reduce((sum, each) => sum + each.requests, 0));
  const results = peers.map(({ peer, turns }) => ({ name: peer.name, turns }));
  console.log(`\n${reportText(results)}`);
  mkdirSync(dirname(settings.json), { recursive: true });
  writeFileSync(settings.json, `${JSON.stringify({ machine: facts, command: `npm run bench -- proxy ${process.argv.slice(2).join(' ')}`.trim(), settings, peers: results, ratios: ratios(results) }, null, 2)}\n`);
  console.log(`\n${settings.json}`);
}

function readSettings(): Settings | number {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: peerNames.join(',') }, rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '4' }, connections: { type: 'string', default: '32' },
      json: { type: 'string', default: join(repository, '.meltemi/bench/proxy.json') }, help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const only = peerNames.filter((name) => values.only.split(',').includes(name));
  const [rounds = 0, seconds = 0, connections = 0] = [values.rounds, values.seconds, values.connections].map(Number);
  if (only.length !== values.only.split(',').length || ![rounds, seconds, connections].every((value) => Number.isInteger(value) && value > 0)) {
    console.error(usage);
    return 2;
  }
  if (only.includes('meltemi') && !existsSync(join(repository, 'apps/proxy/dist/main.js'))) {
    console.error('apps/proxy/dist/main.js is missing: npx nx run meltemi-proxy:build, or --only nginx,haproxy,http-proxy');
    return 1;
  }
  return { only, rounds, seconds, connections, json: resolve(values.json) };
}

process.exitCode = await main();
