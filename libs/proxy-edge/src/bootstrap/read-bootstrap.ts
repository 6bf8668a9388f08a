import { jsonToBinary, messageRegistry } from '@meltemi/api';
import { Bootstrap } from '@meltemi/api/gen/envoy/config/bootstrap/v3/bootstrap.ts';
import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { parseDocument } from 'yaml';
import { Report } from '@meltemi/route';
import type { WatchdogLimits } from '../control/watchdog.ts';
import { checkJson } from './check-json.ts';
import { compileLocalCluster } from './cluster-manager.ts';
import { strictJson } from './strict-json.ts';
import { compileWatchdogs } from './watchdogs.ts';

/** A bootstrap that was read, and what of it only tunes and is not acted on. */
export interface ReadBootstrap {
  readonly bootstrap: Bootstrap;
  readonly watchdog: WatchdogLimits;
  /** cluster_manager.local_cluster_name, "" = none. */
  readonly localCluster: string;
  readonly warnings: readonly FieldError[];
}

const bootstrapType = 'envoy.config.bootstrap.v3.Bootstrap';
const maxBootstrapBytes = 16 * 1024 * 1024;

/** Top-level fields that change what traffic does and are acted on. */
const supported = new Set(['node', 'overload_manager', 'static_resources', 'dynamic_resources', 'admin', 'stats_flush_interval', 'cluster_manager', 'default_socket_interface', 'enable_dispatcher_stats', 'header_prefix', 'watchdogs', 'use_tcp_for_dns_lookups', 'node_context_params']);

/** Top-level fields that only tune, and why leaving them out changes no request. */
const tuning: ReadonlyMap<string, string> = new Map([
  ['layered_runtime', 'runtime layers are not read: every runtime fraction keeps its default value'],
  ['watchdog', 'deprecated: worker threads are watched as watchdogs.worker_watchdog says'],
  ['stats_config', 'every statistic is kept under its full name'],
  ['stats_sinks', 'statistics are not pushed: scrape /stats/prometheus'],
  ['flags_path', 'unused'],
  ['perf_tracing_file_path', 'unused'],
  ['fatal_actions', 'unused'],
  ['memory_allocator_manager', 'memory belongs to the JavaScript engine'],
  ['application_log_config', 'the log keeps its own format'],
  ['deferred_stat_options', 'unused'],
  ['grpc_async_client_manager_config', 'unused'],
  ['typed_dns_resolver_config', "names are resolved by the system's resolver"],
  ['dns_resolution_config', "names are resolved by the system's resolver"],
  ['stats_flush_on_admin', 'statistics are always current'],
  ['inline_headers', 'every header is stored alike'],
  ['listener_manager', 'there is one kind of listener manager'],
  ['xds_delegate_extension', 'resources are not kept across restarts'],
  ['xds_config_tracker_extension', 'unused'],
  ['stats_server_version_override', 'unused'],
  ['hds_config', 'health is not reported to a management server'],
  ['default_regex_engine', 'regular expressions follow RE2'],
]);

/** Reads an Envoy v3 bootstrap, YAML or JSON. Errors name the field's path; unknown fields and unknown types are refused by name. */
export function readBootstrap(text: string): Result<ReadBootstrap> {
  if (Buffer.byteLength(text) > maxBootstrapBytes) return err([{ path: '', message: 'the bootstrap is larger than 16 MiB' }]);
  const parsed = parseText(text);
  if (!parsed.ok) return parsed;
  const warnings: FieldError[] = [];
  const errors: FieldError[] = [];
  const kept: Record<string, unknown> = {};
  for (const [written, value] of Object.entries(parsed.value)) {
    const field = snakeCase(written);
    const reason = tuning.get(field);
    if (supported.has(field)) kept[field] = value;
    else if (reason !== undefined) warnings.push({ path: field, message: `is not acted on: ${reason}` });
    else errors.push({ path: written, message: knownField(field) ? 'is not supported by this proxy: remove it' : `is not a field of ${bootstrapType}` });
  }
  const json = strictJson(bootstrapType, kept);
  errors.push(...checkJson(bootstrapType, json));
  if (errors.length > 0) return err(errors);
  try {
    const bootstrap = Bootstrap.decode(jsonToBinary(bootstrapType, json));
    const report = new Report();
    const watchdog = compileWatchdogs(bootstrap, report);
    const localCluster = compileLocalCluster(bootstrap, report);
    return report.errors.length > 0 ? err(report.errors) : ok({ bootstrap, watchdog, localCluster, warnings: [...warnings, ...report.warnings] });
  } catch (cause) {
    return err([{ path: '', message: cause instanceof Error ? cause.message : String(cause) }]);
  }
}

function parseText(text: string): Result<Readonly<Record<string, unknown>>> {
  const document = parseDocument(text, { merge: true });
  const problem = document.errors[0];
  if (problem) return err([{ path: '', message: `line ${problem.linePos?.[0].line ?? '?'}: ${problem.message.split('\n')[0] ?? ''}` }]);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    return err([{ path: '', message: cause instanceof Error ? cause.message : String(cause) }]);
  }
  if (value === null || value === undefined) return ok({});
  if (typeof value !== 'object' || Array.isArray(value)) return err([{ path: '', message: 'a bootstrap is a map of fields: node, static_resources, admin, …' }]);
  return ok(value as Readonly<Record<string, unknown>>);
}

function knownField(field: string): boolean {
  return messageRegistry().getMessage(bootstrapType)?.fields.some((each) => each.name === field) ?? false;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
