import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LocalMesh, repository, yamlFiles } from '@meltemi/harness';

const usage = `npm start [-- options]: the mesh with Bookinfo on this machine, without root.

  --store etcd://HOST:PORT   keep the configuration in etcd (default: embedded, in .meltemi/state)
  --manifests PATH           directory or file of YAML to run instead of Bookinfo; may be repeated
  --work-dir DIR             state, logs and sockets (default .meltemi)
  --fresh                    forget the state of earlier runs first
  --log-level LEVEL          of the programs, in .meltemi/logs (default info)`;

const gatewayHost = '127.0.0.1';
const defaultManifests = ['deploy/laptop/control-plane.yaml', 'deploy/samples/bookinfo/platform', 'deploy/samples/bookinfo/networking/bookinfo-gateway.yaml', 'deploy/samples/bookinfo/networking/destination-rule-all.yaml'];
/** Every fixed port of 127.0.0.1 that the mesh takes, and whose it is. */
const fixedPorts: readonly (readonly [number, string])[] = [
  [8080, 'the ingress gateway'], [15000, "the gateway's admin"], [15010, 'plaintext xDS'], [15012, 'xDS'], [15014, "pilot's metrics"], [15016, 'the config API'],
  [15021, "the gateway's health"], [15022, 'citadel'], [15023, "citadel's metrics"], [15031, 'the service graph'], [15090, "the gateway's Prometheus page"],
];

async function main(): Promise<number> {
  const options = readOptions();
  if (typeof options === 'number') return options;
  const workDir = options.workDir;
  if (options.fresh) rmSync(workDir, { recursive: true, force: true });
  mkdirSync(workDir, { recursive: true, mode: 0o700 });
  const running = runningPid(workDir);
  if (running) return complain(`Another npm start runs here already (pid ${running}). Stop it with Ctrl-C in its terminal, or: kill ${running}`);
  const busy = await busyPort();
  if (busy) return complain(`Port ${busy[0]} of ${gatewayHost} is taken, and ${busy[1]} needs it. See who has it: ss -ltnp 'sport = :${busy[0]}'. Stop that program, then run npm start again.`);
  writeFileSync(join(workDir, 'pid'), String(process.pid));
  rmSync(join(workDir, 'registry'), { recursive: true, force: true });
  const mesh = new LocalMesh({
    workDir, manifests: options.manifests, from: 'bundle', gatewayAddress: gatewayHost, controlAddress: gatewayHost, plaintextXds: true, net: 77,
    ...(options.store ? { store: options.store } : {}), ...(options.logLevel ? { logLevel: options.logLevel } : {}), onStep: (text) => console.log(`  · ${text}`),
  });
  return runUntilSignal(mesh, workDir);
}

async function runUntilSignal(mesh: LocalMesh, workDir: string): Promise<number> {
  let code = 0;
  const signalled = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
  try {
    const started = performance.now();
    const outcome = await Promise.race([mesh.start().then(() => 'started' as const), signalled.then(() => 'stopped' as const)]);
    if (outcome === 'started') {
      console.log(closingBlock(mesh, Math.round((performance.now() - started) / 100) / 10));
      let stopping = false;
      for (const process of mesh.processes()) void process.exited().then(() => { if (!stopping) ended(process.spec.name, process.spec.logFile); });
      await signalled;
      stopping = true;
    }
  } catch (cause) {
    code = complain(cause instanceof Error ? cause.message : String(cause));
  }
  console.log('\n  stopping …');
  await mesh.stop();
  rmSync(join(workDir, 'pid'), { force: true });
  console.log('  stopped; nothing is left running.');
  return code;
}

function ended(name: string, logFile: string): void {
  console.error(`\n  ${name} ended. Its log: ${logFile}. The rest goes on; Ctrl-C stops everything.`);
}

function closingBlock(mesh: LocalMesh, seconds: number): string {
  return `
  Ready in ${seconds} s: ${mesh.workloads.length - 1} workloads behind their sidecars, all over mTLS.

  Open      http://${gatewayHost}:8080/productpage

  Try next  npx meltemi proxy-status
            npx meltemi apply --wait -f deploy/samples/bookinfo/networking/virtual-service-all-v1.yaml
            npx meltemi apply --wait -f deploy/samples/bookinfo/networking/virtual-service-reviews-test-v2.yaml   (then sign in as jason)

  Stop      Ctrl-C here; nothing stays behind.     Logs: ${mesh.options.workDir}/logs
`;
}

interface StartOptions {
  readonly store: string | undefined;
  readonly manifests: readonly string[];
  readonly workDir: string;
  readonly fresh: boolean;
  readonly logLevel: string | undefined;
}

function readOptions(): StartOptions | number {
  try {
    const { values } = parseArgs({
      options: { store: { type: 'string' }, manifests: { type: 'string', multiple: true }, 'work-dir': { type: 'string' }, fresh: { type: 'boolean' }, 'log-level': { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) {
      console.log(usage);
      return 0;
    }
    if (values.store !== undefined && !/^(etcd:\/\/|dir:)/.test(values.store)) return complain(`--store ${values.store}: write etcd://HOST:PORT[,HOST:PORT…] or dir:PATH`, 2);
    const manifests = [join(repository, 'deploy/laptop/control-plane.yaml'), ...(values.manifests ?? defaultManifests.slice(1).map((path) => join(repository, path)))];
    for (const path of manifests) {
      if (!existsSync(path)) return complain(`--manifests ${path}: there is no such file or directory`, 2);
      if (yamlFiles(path).length === 0) return complain(`--manifests ${path}: no .yaml file in it`, 2);
    }
    return { store: values.store, manifests, workDir: values['work-dir'] ?? join(repository, '.meltemi'), fresh: values.fresh ?? false, logLevel: values['log-level'] };
  } catch (cause) {
    return complain(`${cause instanceof Error ? cause.message : String(cause)}\n\n${usage}`, 2);
  }
}

function complain(text: string, code = 1): number {
  console.error(`\n  ${text}\n`);
  return code;
}

function runningPid(workDir: string): number | undefined {
  const file = join(workDir, 'pid');
  if (!existsSync(file)) return undefined;
  const pid = Number(readFileSync(file, 'utf8'));
  try {
    process.kill(pid, 0);
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('tools/start/run.ts') ? pid : undefined;
  } catch {
    return undefined;
  }
}

async function busyPort(): Promise<readonly [number, string] | undefined> {
  for (const entry of fixedPorts) if (!(await isFree(entry[0]))) return entry;
  return undefined;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: gatewayHost, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

// A start that was stopped half-way still waits for its programs: exit ends that, and takes along what it started meanwhile.
process.exit(await main());
