import { existsSync, readFileSync } from 'node:fs';
import { captureFlags, captureRules, iptablesDryRun, nftScript, parseCaptureOptions, type CaptureOptions, type RouteStep } from '@meltemi/capture';
import { Option, type Command } from 'commander';
import { CliError, exitCode } from '../../cli-error.ts';
import type { CommandModule } from '../../command.ts';
import { outputFormat, print, type Output } from '../../output.ts';
import { backends, chooseBackend, type Backend } from './backend.ts';
import { addRoutes, removeRoutes } from './routes.ts';
import { describeRules } from './show.ts';

/** `meltemi intercept`: the rules that bring a workload's traffic to its proxy, with the flags and variables of Istio's istio-iptables. */
export const interceptCommand: CommandModule = (program, { output }) => {
  const intercept = program.command('intercept').description("write, show and remove the rules that bring a workload's traffic to its proxy (Linux, root)");
  withFlags(intercept.command('apply').description('install the rules, or change them to these; Istio\'s istio-iptables flags and environment variables'))
    .option('--dry-run', 'print the rules and change nothing')
    .option('--skip-rule-apply', 'do nothing: something else (a CNI plugin) has installed them')
    .action((given: Flags) => apply(given, output));
  withFlags(intercept.command('remove').description('take the rules away; nothing else is touched')).action((given: Flags) => remove(given, output));
  intercept.command('show')
    .description('what is installed, and what it means')
    .option('--rules', 'also the rules as the kernel has them')
    .option('--output <format>', 'table, json or yaml')
    .action((options: { rules?: boolean; output?: string }) => show(options, output));
};

type Flags = Readonly<Record<string, string | boolean | undefined>>;

function withFlags(command: Command): Command {
  for (const { short, name, about, fallback, isSwitch } of captureFlags) {
    const flags = `${short === undefined ? '' : `-${short}, `}--${name}${isSwitch === true ? '' : ' <value>'}`;
    command.addOption(new Option(flags, `${about}${fallback === '' || isSwitch === true ? '' : ` (default: ${fallback})`} [${variable(name)}]`));
  }
  return command.addOption(new Option('--backend <name>', 'which program installs them').choices(['auto', 'nftables', 'iptables']).default('auto'));
}

/** ISTIO_SERVICE_CIDR is the variable of --istio-service-cidr. */
function variable(name: string): string {
  return name.toUpperCase().replaceAll('-', '_');
}

function camel(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function optionsOf(given: Flags): CaptureOptions {
  const values = Object.fromEntries(captureFlags.map(({ name }) => {
    const value = given[camel(name)] ?? process.env[variable(name)];
    return [name, value === undefined ? undefined : String(value)];
  }));
  const parsed = parseCaptureOptions(values, { ipv6: hasIpv6(), dnsServers: dnsServers() });
  if (!parsed.ok) throw new CliError(parsed.error.map(({ path, message }) => `${path}: ${message}`).join('\n'), exitCode.usage);
  return parsed.value;
}

async function apply(given: Flags, output: Output): Promise<void> {
  if (isOn(given, 'skip-rule-apply')) return output.out('Nothing was done: --skip-rule-apply.');
  const options = optionsOf(given);
  const rules = captureRules(options);
  const backend = await chooseBackend(String(given['backend']));
  if (isOn(given, 'dry-run')) {
    const routes = rules.routes.map((step) => `# ip ${step.add.join(' ')}\n`).join('');
    return output.out(`${routes}${backend.name === 'nftables' ? `# nft -f -\n${nftScript(rules)}` : iptablesDryRun(rules, options.ipv6)}`.trimEnd());
  }
  const added = await addRoutes(rules.routes);
  await backend.replace(rules, options.ipv6).catch(async (cause: unknown) => {
    await removeRoutes(added);
    throw cause;
  });
  // What an earlier run installed otherwise would capture what is now left alone.
  await removeRoutes(leftover(options, rules.routes));
  for (const other of backends) if (other !== backend) await clear(other);
  return output.out(describeRules(backend.about, await backend.installed()));
}

async function remove(given: Flags, output: Output): Promise<void> {
  const removed: string[] = [];
  for (const backend of backends) if (await clear(backend)) removed.push(backend.about);
  await removeRoutes(leftover(optionsOf(given), []));
  output.out(removed.length > 0 ? `Removed: ${removed.join('; ')}. Traffic goes its own way again.` : 'There was nothing to remove.');
}

async function clear(backend: Backend): Promise<boolean> {
  if (!(await backend.available()) || (await backend.installed()).length === 0) return false;
  await backend.remove();
  return true;
}

/** Routes that rules with these numbers may have needed, without those that stay. */
function leftover(options: CaptureOptions, stay: readonly RouteStep[]): RouteStep[] {
  const kept = new Set(stay.map((step) => step.add.join(' ')));
  return captureRules({ ...options, mode: 'TPROXY', inboundPorts: '*' }).routes.filter((step) => !kept.has(step.add.join(' ')));
}

async function show(options: { rules?: boolean; output?: string }, output: Output): Promise<void> {
  const format = outputFormat(options.output);
  for (const backend of backends) {
    const rules = (await backend.available()) ? await backend.installed() : [];
    if (rules.length === 0) continue;
    const raw = options.rules === true ? `\n\n${rules.map(({ table, chain, rule }) => `${table} ${chain}: ${rule}`).join('\n')}` : '';
    return print(output, format, { backend: backend.name, rules }, () => describeRules(backend.about, rules) + raw);
  }
  return print(output, format, { backend: null, rules: [] }, () => describeRules('', []));
}

function isOn(given: Flags, name: string): boolean {
  return given[camel(name)] === true || /^(true|1)$/i.test(process.env[variable(name)] ?? '');
}

function hasIpv6(): boolean {
  const off = '/proc/sys/net/ipv6/conf/all/disable_ipv6';
  return existsSync(off) && readFileSync(off, 'utf8').trim() === '0';
}

function dnsServers(): string[] {
  if (!existsSync('/etc/resolv.conf')) return [];
  return readFileSync('/etc/resolv.conf', 'utf8').split('\n').flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? []);
}
