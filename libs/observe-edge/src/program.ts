import { openSync } from 'node:fs';
import { Lifecycle, formatFieldErrors } from '@meltemi/base';
import { declareIstioBuild, StatsRegistry } from '@meltemi/observe';
import type { Address } from './address.ts';
import { AdminServer } from './admin-server.ts';
import { type CommandLine, parseCommandLine } from './command-line.ts';
import { createLogger, type Logger } from './log.ts';
import { type OptionSpec, type OptionValues, type ResolvedOptions, resolveOptions } from './options.ts';
import { removePortsFile, writePortsFile } from './ports-file.ts';
import { measureProcess } from './process-metrics.ts';
import { ProcessEnd } from './process-end.ts';
import { Readiness } from './readiness.ts';
import { adminOptions, standardOptions } from './standard-options.ts';
import { standardRoutes } from './standard-routes.ts';
import { explainListenError, StartError } from './start-error.ts';

/** The version of this tree; every program reports it. */
export const meltemiVersion = '0.1.0';

const pinnedNodeMajor = 26;

export interface ProgramSpec<S extends readonly OptionSpec[]> {
  /** As on the command line: "meltemi-pilot". */
  readonly name: string;
  readonly description: string;
  readonly options: S;
  /** Name of positional arguments for --help; without it there may be none. */
  readonly operands?: string;
  /** Default address of the admin server; false when the program runs its own (the proxy takes it from its bootstrap). */
  readonly adminListen: string | false;
  /** Name of the flag for it, when the port is known to users as something else ("http-listen"). --admin-listen then works too. Default admin-listen. */
  readonly adminFlag?: string;
  /** Builds and starts the parts. Register each with ctx.lifecycle as it starts: they stop newest first, also when a later one fails. */
  readonly start: (context: ProgramContext<S>) => Promise<RunningProgram>;
}

export interface ProgramContext<S extends readonly OptionSpec[] = readonly OptionSpec[]> {
  readonly options: OptionValues<S>;
  /** True when the value came from the command line or the environment. */
  readonly given: (name: S[number]['name']) => boolean;
  readonly operands: readonly string[];
  readonly log: Logger;
  readonly stats: StatsRegistry;
  /** Undefined when the spec said adminListen: false. */
  readonly admin: AdminServer | undefined;
  readonly readiness: Readiness;
  readonly lifecycle: Lifecycle;
  /** Ends the program as SIGTERM does. */
  readonly shutdown: (reason: string) => void;
}

export interface RunningProgram {
  /** What was bound, for --ports-file and the log. */
  readonly ports?: Readonly<Record<string, number>>;
  /** Finishes work under way; not awaited past the deadline. New work should already be turned away. */
  readonly drain?: (deadlineMs: number) => Promise<void>;
  /** In place of --drain-timeout. */
  readonly drainTimeoutMs?: number;
  /** For programs that end by themselves: resolves with the exit code. */
  readonly done?: Promise<number>;
}

/** Runs a program from its command line to its exit: the only place that reads argv, handles signals and calls process.exit. */
export async function runProgram<const S extends readonly OptionSpec[]>(spec: ProgramSpec<S>): Promise<void> {
  refuseOldNode(spec.name);
  const specs = allOptions(spec);
  const line = parseCommandLine({ ...spec, version: meltemiVersion, options: specs }, process.argv.slice(2));
  if (line.kind === 'exit') return leave(line);
  const resolved = resolveOptions(specs, line.flags, process.env);
  if (!resolved.ok) return leave({ kind: 'exit', code: 2, out: '', error: `${spec.name}: ${formatFieldErrors(resolved.error)}\nTry ${spec.name} --help.\n` });
  await startProgram(spec, resolved.value, line.operands);
}

type Standard = OptionValues<typeof standardOptions> & { readonly 'log-path'?: string };

/** Where the log goes: a program that declares --log-path may send it to a file. */
function logDescriptor(name: string, standard: Standard): number {
  const path = standard['log-path'];
  if (path === undefined) return standard['log-output'] === 'stdout' ? 1 : 2;
  try {
    return openSync(path, 'a', 0o640);
  } catch (cause) {
    process.stderr.write(`${name}: --log-path ${path}: ${cause instanceof Error ? cause.message : String(cause)}\n`);
    process.exit(1);
  }
}

async function startProgram<const S extends readonly OptionSpec[]>(spec: ProgramSpec<S>, resolved: ResolvedOptions, operands: readonly string[]): Promise<void> {
  const standard = resolved.values as unknown as Standard;
  const log = createLogger({ name: spec.name, level: standard['log-level'], format: standard['log-format'], fd: logDescriptor(spec.name, standard) });
  const lifecycle = new Lifecycle();
  const readiness = new Readiness();
  const stats = new StatsRegistry();
  const started = readiness.waitFor('start');
  const end = new ProcessEnd({ log, lifecycle, readiness, drainTimeoutMs: standard['drain-timeout'] });
  end.watch();
  declareIstioBuild(stats, spec.name.replace(/^meltemi-/, ''), meltemiVersion);
  lifecycle.add('process metrics', measureProcess(stats));
  const portsFile = standard['ports-file'];
  try {
    if (portsFile !== undefined) removePortsFile(portsFile);
    const admin = spec.adminListen === false ? undefined : await startAdmin(spec.name, adminAddress(spec, resolved), { log, lifecycle, readiness, stats });
    const running = await spec.start({
      options: resolved.values as OptionValues<S>,
      given: (name) => resolved.given.has(name),
      operands,
      log,
      stats,
      admin: admin?.server,
      readiness,
      lifecycle,
      shutdown: (reason) => end.begin(reason),
    });
    end.running = running;
    const ports = { ...(admin ? { admin: admin.port } : {}), ...running.ports };
    if (portsFile !== undefined) {
      writePortsFile(portsFile, { pid: process.pid, ports });
      lifecycle.add('ports file', () => removePortsFile(portsFile));
    }
    started();
    log.info({ version: meltemiVersion, ports, readiness: readiness.describe() }, 'started');
    if (running.done) end.follow(running.done);
  } catch (cause) {
    await end.failStart(spec.name, explainKnown(cause, specAddresses(spec, resolved)));
  }
}

/** The flag that was given wins; the program's own name for it before the common one. */
function adminAddress(spec: ProgramSpec<readonly OptionSpec[]>, { values, given }: ResolvedOptions): { flag: string; address: Address } {
  const own = spec.adminFlag ?? 'admin-listen';
  const flag = !given.has(own) && given.has('admin-listen') ? 'admin-listen' : own;
  return { flag, address: values[flag] as Address };
}

async function startAdmin(name: string, at: { flag: string; address: Address }, parts: { log: Logger; lifecycle: Lifecycle; readiness: Readiness; stats: StatsRegistry }): Promise<{ server: AdminServer; port: number }> {
  const server = new AdminServer({ title: name, localOnly: true, onError: (error, path) => parts.log.error({ err: error, path }, 'admin request failed') });
  for (const route of standardRoutes({ name, version: meltemiVersion, ...parts })) server.route(route);
  try {
    const bound = await server.listen(at.address);
    parts.lifecycle.add('admin server', () => server.stop());
    return { server, port: bound.port };
  } catch (cause) {
    throw explainListenError(cause, at);
  }
}

function allOptions(spec: ProgramSpec<readonly OptionSpec[]>): OptionSpec[] {
  const own = new Set(spec.options.map(({ name }) => name));
  const standard: OptionSpec[] = [...(spec.adminListen === false ? [] : adminOptions(spec.adminListen, spec.adminFlag)), ...standardOptions];
  return [...spec.options, ...standard.filter(({ name }) => !own.has(name))];
}

/** Address options by "host:port", so that a busy port names its flag also when the program forgot to explain it. */
function specAddresses(spec: ProgramSpec<readonly OptionSpec[]>, resolved: ResolvedOptions): Map<number, { flag: string; address: Address }> {
  const found = new Map<number, { flag: string; address: Address }>();
  for (const option of spec.options) {
    const value = resolved.values[option.name] as Address | undefined;
    if (option.type === 'address' && value && value.port !== 0) found.set(value.port, { flag: option.name, address: value });
  }
  return found;
}

function explainKnown(cause: unknown, addresses: Map<number, { flag: string; address: Address }>): unknown {
  if (cause instanceof StartError || !(cause instanceof Error)) return cause;
  const port = 'port' in cause && typeof cause.port === 'number' ? cause.port : Number(/(?:EADDRINUSE|EACCES|EADDRNOTAVAIL).*?:(\d+)\b/.exec(cause.message)?.[1] ?? -1);
  const at = addresses.get(port);
  return at ? explainListenError(cause, at) : cause;
}

function refuseOldNode(name: string): void {
  if (Number(process.versions.node.split('.')[0]) >= pinnedNodeMajor) return;
  process.stderr.write(`${name} needs Node ${pinnedNodeMajor} or newer; this is ${process.versions.node} (${process.execPath}). npm ci brings the right one: start it through npx ${name} or npm start.\n`);
  process.exit(1);
}

function leave(line: CommandLine & { kind: 'exit' }): void {
  process.stdout.write(line.out);
  process.stderr.write(line.error);
  process.exitCode = line.code;
}

