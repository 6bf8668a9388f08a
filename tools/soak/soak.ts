// `npm run soak`: Bookinfo under steady traffic and route switches for as long as you like.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LocalMesh, repository, soak, type SoakReport } from '@meltemi/harness';

const usage = `npm run soak [-- options]: runs Bookinfo behind its sidecars under steady traffic while certificates are renewed: no request may fail, no process may end or grow. Then streams
through the proxy whose reader stalls, over HTTP/1.1, HTTP/2 and TCP, each plain and in TLS on both sides: the sender must be held back, memory stay flat.

  --minutes N          how long (default 30); fractions allowed; given alone: nothing but this
  --rate N             requests a second (default 50)
  --switch-seconds N   switch a route this often with meltemi apply --wait (default 30; 0: never)
  --cert-seconds N     lifetime of every certificate of the mesh, renewed at half of it (default 60; 0: citadel's own default)
  --max-growth-mb N    memory a process may gain after warming up (default 32)
  --net N              1 to 254: the loopback network 127.N.x.x it uses (default 88)
  --keep               keep the work folder with its logs
  --streams-gb N       how much goes over each protocol, half of it each way (default 10); given alone: nothing but this
  --stall-seconds N    how long the reader stalls (default 10)`;

const manifests = ['deploy/laptop/control-plane.yaml', 'deploy/samples/bookinfo/platform', 'deploy/samples/bookinfo/networking/bookinfo-gateway.yaml', 'deploy/samples/bookinfo/networking/destination-rule-all.yaml'];

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string' }, rate: { type: 'string', default: '50' }, 'switch-seconds': { type: 'string', default: '30' }, 'cert-seconds': { type: 'string', default: '60' }, 'max-growth-mb': { type: 'string', default: '32' },
      net: { type: 'string', default: '88' }, keep: { type: 'boolean' }, 'streams-gb': { type: 'string' }, 'stall-seconds': { type: 'string', default: '10' }, help: { type: 'boolean', short: 'h' },
    },
  });
  const [minutes = 0, rate = 0, switchSeconds = -1, growthMb = 0, net = 0, certSeconds = -1] = [values.minutes ?? '30', values.rate, values['switch-seconds'], values['max-growth-mb'], values.net, values['cert-seconds']].map(Number);
  if (values.help || !(minutes > 0) || !(rate > 0) || !(switchSeconds >= 0) || !(growthMb > 0) || !(certSeconds === 0 || certSeconds >= 1) || !(net >= 1 && net <= 254)) {
    console.log(usage);
    return values.help ? 0 : 2;
  }
  const [onlyBookinfo, onlyStreams] = [values.minutes !== undefined && values['streams-gb'] === undefined, values['streams-gb'] !== undefined && values.minutes === undefined];
  const gigabytes = onlyBookinfo ? 0 : Number(values['streams-gb'] ?? 10);
  const stallSeconds = Number(values['stall-seconds']);
  if (!(gigabytes >= 0) || !(stallSeconds >= 0)) {
    console.log(usage);
    return 2;
  }
  const bookinfo = onlyStreams ? 0 : await overBookinfo({ seconds: minutes * 60, perSecond: rate, switchSeconds, maxGrowthBytes: growthMb * 2 ** 20 }, { net, certSeconds, keep: values.keep === true });
  return bookinfo !== 0 || gigabytes === 0 ? bookinfo : streams(gigabytes, stallSeconds);
}

async function overBookinfo(how: Omit<Parameters<typeof soak>[1], 'onProgress'>, { net, certSeconds, keep }: { readonly net: number; readonly certSeconds: number; readonly keep: boolean }): Promise<number> {
  const workDir = mkdtempSync(join(tmpdir(), 'meltemi-soak-'));
  const mesh = new LocalMesh({ workDir, manifests: manifests.map((path) => join(repository, path)), from: 'bundle', net, ...(certSeconds > 0 && { citadelArgs: ['--workload-cert-ttl', `${certSeconds}s`] }), onStep: (text) => console.log(`  · ${text}`) });
  const stop = async () => {
    await mesh.stop();
    if (!keep) rmSync(workDir, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop().finally(() => process.exit(130)));
  try {
    await mesh.start();
    const report = await soak(mesh, { ...how, onProgress: (text) => console.log(`  ${text}`) });
    print(report);
    return report.problems.length === 0 ? 0 : 1;
  } catch (cause) {
    console.error(cause instanceof Error ? cause.message : cause);
    return 1;
  } finally {
    await stop();
    if (keep) console.log(`logs: ${workDir}/logs`);
  }
}

/** The proxy's own test of flat memory, with larger numbers. */
function streams(gigabytes: number, stallSeconds: number): Promise<number> {
  const child = spawn(process.execPath, ['--test', join(repository, 'apps/proxy/src/faults/flat-memory.test.ts')], {
    stdio: 'inherit', env: { ...process.env, MELTEMI_STREAM_MB: String(Math.ceil(gigabytes * 512)), MELTEMI_STALL_SECONDS: String(stallSeconds) },
  });
  return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
}

function print({ requests, switches, growth, problems }: SoakReport): void {
  console.log(`\n${requests} requests, ${switches} route switches`);
  for (const each of growth) console.log(`  ${each.name}: ${mb(each.beforeBytes)} MB, then ${mb(each.afterBytes)} MB`);
  for (const problem of problems) console.error(`  ✗ ${problem}`);
  console.log(problems.length === 0 ? 'soak: passed' : 'soak: failed');
}

function mb(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

process.exitCode = await main();
