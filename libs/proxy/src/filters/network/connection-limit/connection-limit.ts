import { ConnectionLimit } from '@meltemi/api/gen/envoy/extensions/filters/network/connection_limit/v3/connection_limit.ts';
import { err, ok } from '@meltemi/base';
import { ResponseFlag } from '@meltemi/http';
import type { Counter, Gauge } from '@meltemi/observe';
import { durationMs, use, type FieldTable } from '@meltemi/route';
import { FilterStatus, NetworkStreamFilter, type ConnectionControls, type NetworkFilterContext, type NetworkFilterFactory } from '../../../filter.ts';
import type { SharedRow } from '../../../shared-rows.ts';
import { checkSettings } from '../../check-settings.ts';

interface LimitConfig {
  readonly statPrefix: string;
  readonly most: number;
  /** How long a refused connection is kept before it is closed; 0 = not at all. */
  readonly delayMs: number;
  readonly enabled: boolean;
  /** The same for the same config at the same place, in every worker. */
  readonly identity: string;
}

/** Closes connections of a filter chain above a number of open ones, counted in this process over all its workers. */
export const connectionLimitFilter: NetworkFilterFactory = {
  name: 'envoy.filters.network.connection_limit',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit'],
  trust: 'untrusted-downstream-and-upstream',
  parse(bytes, ctx) {
    const message = ConnectionLimit.decode(bytes);
    const errors = checkSettings(message, settings, ctx);
    const most = Number(message.maxConnections ?? 0n);
    if (message.statPrefix === '') errors.push({ path: `${ctx.path}.stat_prefix`, message: 'is required' });
    if (most < 1) errors.push({ path: `${ctx.path}.max_connections`, message: 'must be at least 1' });
    const config: LimitConfig = { statPrefix: message.statPrefix, most, delayMs: durationMs(message.delay, 0), enabled: message.runtimeEnabled?.defaultValue ?? true, identity: `${ctx.path} ${Buffer.from(bytes).toString('latin1')}` };
    return errors.length > 0 ? err(errors) : ok(config);
  },
  bind(config, ctx) {
    const shared = new Shared(config as LimitConfig, ctx);
    return { create: () => (shared.config.enabled ? new LimitedConnection(shared) : null), release: () => shared.row.release() };
  },
};

const settings: FieldTable<ConnectionLimit> = { statPrefix: use, maxConnections: use, delay: use, runtimeEnabled: use };

class Shared {
  readonly config: LimitConfig;
  readonly ctx: NetworkFilterContext;
  readonly limited: Counter;
  readonly active: Gauge;
  /** Resource 0: open connections. */
  readonly row: SharedRow;

  constructor(config: LimitConfig, ctx: NetworkFilterContext) {
    this.config = config;
    this.ctx = ctx;
    this.limited = ctx.stats.counter(`connection_limit.${config.statPrefix}.limited_connections`);
    this.row = ctx.shared.rows.hold(`connection_limit ${ctx.listenerName} ${config.identity}`);
    this.active = ctx.stats.gauge(`connection_limit.${config.statPrefix}.active_connections`);
  }
}

class LimitedConnection extends NetworkStreamFilter {
  readonly #shared: Shared;
  #counted = false;
  #cancel: (() => void) | null = null;

  constructor(shared: Shared) {
    super();
    this.#shared = shared;
  }

  override onNewConnection(controls: ConnectionControls): number {
    const shared = this.#shared;
    // Refused ones count too, as long as they stay.
    const refused = shared.row.used(0) >= shared.config.most;
    this.#counted = true;
    shared.row.take(0, 1);
    shared.active.inc();
    if (!refused) return FilterStatus.continue;
    shared.limited.inc();
    const close = () => controls.close('connection_limit_close_over_limit', ResponseFlag.URX);
    if (shared.config.delayMs > 0) this.#cancel = shared.ctx.clock.after(shared.config.delayMs, close);
    else close();
    return FilterStatus.stopIteration;
  }

  override onClose(): void {
    this.#cancel?.();
    if (!this.#counted) return;
    this.#counted = false;
    this.#shared.row.take(0, -1);
    this.#shared.active.dec();
  }
}
