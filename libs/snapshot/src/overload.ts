import { ScaleTimersOverloadActionConfig, type OverloadAction, type OverloadManager, type ResourceMonitor, type Trigger } from '@meltemi/api/gen/envoy/config/overload/v3/overload.ts';
import { DownstreamConnectionsConfig } from '@meltemi/api/gen/envoy/extensions/resource_monitors/downstream_connections/v3/downstream_connections.ts';
import { FixedHeapConfig } from '@meltemi/api/gen/envoy/extensions/resource_monitors/fixed_heap/v3/fixed_heap.ts';
import type { Result } from '@meltemi/base';
import { durationMs, Report } from '@meltemi/route';
import { finish } from './context.ts';
import type { Compiled } from './extensions.ts';

/** An overload manager's config: plain data, the same in every worker. */
export interface OverloadConfig {
  /** How often resources are looked at; 1,000 when unset. */
  readonly refreshMs: number;
  /** Memory of the process that counts as full; null = not watched. */
  readonly maxHeapBytes: number | null;
  /** Connections from clients, over all workers; null = unlimited. */
  readonly maxConnections: number | null;
  readonly actions: readonly OverloadActionConfig[];
}

export interface OverloadActionConfig {
  /** Envoy's name without "envoy.overload_actions.". */
  readonly name: OverloadActionName;
  readonly triggers: readonly OverloadTrigger[];
  /** Of reduce_timeouts: how short each timer may get. */
  readonly timers: readonly ScaledTimer[];
}

export type OverloadActionName = (typeof actionNames)[number];

/** The monitor's pressure, 0 to 1, at which the action begins (`from`) and is whole (`to`). */
export interface OverloadTrigger {
  readonly monitor: 'heap' | 'connections';
  readonly from: number;
  readonly to: number;
}

export interface ScaledTimer {
  readonly timer: 'connection-idle' | 'stream-idle' | 'transport-connect';
  /** Shortest time, or shortest part of the configured time. */
  readonly minMs: number | null;
  readonly minScale: number | null;
}

const actionNames = ['stop_accepting_requests', 'stop_accepting_connections', 'disable_http_keepalive', 'reject_incoming_connections', 'shrink_heap', 'reduce_timeouts'] as const;
const monitors = 'type.googleapis.com/envoy.extensions.resource_monitors';
const timers = [null, 'connection-idle', 'stream-idle', 'transport-connect'] as const;

/** Compiles a bootstrap's overload_manager; paths begin with "overload_manager". */
export function compileOverload(message: OverloadManager): Result<Compiled<OverloadConfig>> {
  const report = new Report();
  const path = 'overload_manager';
  const found = new Map<string, { kind: OverloadTrigger['monitor']; limit: number }>();
  for (const [i, monitor] of message.resourceMonitors.entries()) compileMonitor(monitor, `${path}.resource_monitors[${i}]`, found, report);
  if (message.loadshedPoints.length > 0) report.refuse(`${path}.loadshed_points`, 'are not supported: use actions');
  if (message.bufferFactoryConfig) report.warn(`${path}.buffer_factory_config`, 'buffers are not tracked by stream');
  const actions = message.actions.flatMap((action, i) => compileAction(action, `${path}.actions[${i}]`, found, report) ?? []);
  const limitOf = (kind: OverloadTrigger['monitor']) => [...found.values()].find((each) => each.kind === kind)?.limit ?? null;
  return finish(report, { refreshMs: durationMs(message.refreshInterval, 1000), maxHeapBytes: limitOf('heap'), maxConnections: limitOf('connections'), actions });
}

function compileMonitor({ name, configType }: ResourceMonitor, path: string, found: Map<string, { kind: OverloadTrigger['monitor']; limit: number }>, report: Report): void {
  const any = configType?.value;
  if (found.has(name)) return report.refuse(`${path}.name`, `"${name}" is taken by an earlier one`);
  if (any?.typeUrl === `${monitors}.fixed_heap.v3.FixedHeapConfig`) {
    const limit = Number(FixedHeapConfig.decode(any.value).maxHeapSizeBytes);
    if (limit <= 0) return report.refuse(`${path}.typed_config.max_heap_size_bytes`, 'must be more than 0');
    found.set(name, { kind: 'heap', limit });
  } else if (any?.typeUrl === `${monitors}.downstream_connections.v3.DownstreamConnectionsConfig`) {
    const limit = Number(DownstreamConnectionsConfig.decode(any.value).maxActiveDownstreamConnections);
    if (limit <= 0) return report.refuse(`${path}.typed_config.max_active_downstream_connections`, 'must be more than 0');
    found.set(name, { kind: 'connections', limit });
  } else return report.refuse(path, `${any?.typeUrl ?? name} is not supported: fixed_heap and downstream_connections are`);
  return undefined;
}

function compileAction({ name, triggers, typedConfig }: OverloadAction, path: string, found: ReadonlyMap<string, { kind: OverloadTrigger['monitor'] }>, report: Report): OverloadActionConfig | null {
  const short = actionNames.find((known) => name === `envoy.overload_actions.${known}`);
  if (short === undefined) {
    report.refuse(`${path}.name`, `${name} is not supported: ${actionNames.join(', ')} are`);
    return null;
  }
  return {
    name: short, timers: short === 'reduce_timeouts' ? compileTimers(typedConfig?.value, `${path}.typed_config`, report) : [],
    triggers: triggers.flatMap((trigger, i) => compileTrigger(trigger, `${path}.triggers[${i}]`, found, report) ?? []),
  };
}

function compileTrigger({ name, triggerOneof }: Trigger, path: string, found: ReadonlyMap<string, { kind: OverloadTrigger['monitor'] }>, report: Report): OverloadTrigger | null {
  const monitor = found.get(name)?.kind;
  if (monitor === undefined) report.refuse(`${path}.name`, `there is no resource monitor "${name}"`);
  else if (triggerOneof?.$case === 'threshold') return { monitor, from: triggerOneof.value.value, to: triggerOneof.value.value };
  else if (triggerOneof?.$case === 'scaled') {
    const { scalingThreshold: from, saturationThreshold: to } = triggerOneof.value;
    if (from < to) return { monitor, from, to };
    report.refuse(`${path}.scaled`, 'scaling_threshold must be less than saturation_threshold');
  } else report.refuse(path, 'needs threshold or scaled');
  return null;
}

function compileTimers(bytes: Uint8Array | undefined, path: string, report: Report): ScaledTimer[] {
  if (bytes === undefined) {
    report.refuse(path, 'is required: which timers are to be shortened');
    return [];
  }
  return ScaleTimersOverloadActionConfig.decode(bytes).timerScaleFactors.flatMap(({ timer, overloadAdjust }, i): ScaledTimer[] => {
    const known = timers[timer as 0 | 1 | 2 | 3] ?? null;
    if (known === null) report.refuse(`${path}.timer_scale_factors[${i}].timer`, 'is not known');
    if (!overloadAdjust) report.refuse(`${path}.timer_scale_factors[${i}]`, 'needs min_timeout or min_scale');
    if (known === null || !overloadAdjust) return [];
    return [{ timer: known, minMs: overloadAdjust.$case === 'minTimeout' ? durationMs(overloadAdjust.value, 0) : null, minScale: overloadAdjust.$case === 'minScale' ? overloadAdjust.value.value / 100 : null }];
  });
}
