import { err, fail, ok, type FieldError, type Result } from '@meltemi/base';
import type { StreamInfo } from '@meltemi/http';
import type { ConnectionView, FilterChain, Listener } from '@meltemi/snapshot';
import { loadSocketOptions, type SocketOptions } from '../transport/socket-options.ts';
import { ChainRuntime, logWriter, type ChainDeps } from './chain-runtime.ts';
import { listenerPrefix } from './listener-prefix.ts';

/** One config of a listener, at work. */
export interface Generation {
  readonly listener: Listener;
  /** Those that the next config has unchanged go over to it. */
  readonly chains: Map<FilterChain, ChainRuntime>;
  /** Of a listener that takes captured connections. */
  readonly socketOptions: SocketOptions | null;
  /** The listener's own access logs; null without any. */
  readonly writeLog: ((info: StreamInfo) => void) | null;
}

interface Before {
  readonly generation: Generation;
  /** Connections like this come in as they did then. */
  readonly comesAlike: (view: ConnectionView) => boolean;
}

/** Chains that are there just so, with connections that come in as before, are taken from there. */
export async function build(listener: Listener, deps: ChainDeps, before: Before | null = null): Promise<Result<Generation>> {
  const socketOptions = await socketOptionsFor(listener, deps);
  if (!socketOptions.ok) return socketOptions;
  const usable = before !== null && sameForChains(listener, before.generation.listener) ? [...before.generation.chains.values()].filter((runtime) => runtime.onlyHas(before.comesAlike)) : [];
  const known = new Map(usable.map((runtime) => [runtime.chain.fingerprint, runtime]));
  const chains = new Map<FilterChain, ChainRuntime>();
  const errors: FieldError[] = [];
  for (const { kind, name } of listener.listenerFilters) if (kind === 'extension') errors.push({ path: `listener_filters ${name}`, message: 'is not run by this proxy yet: remove it' });
  for (const chain of listener.allFilterChains) {
    const same = known.get(chain.fingerprint);
    known.delete(chain.fingerprint);
    const runtime = same === undefined ? ChainRuntime.create(listener, chain, deps) : ok(same);
    if (runtime.ok) chains.set(chain, runtime.value);
    else errors.push(...runtime.error);
  }
  if (errors.length === 0) return ok({ listener, chains, socketOptions: socketOptions.value, writeLog: logWriter(listener.accessLogs, deps) });
  release({ chains }, before?.generation);
  return err(errors);
}

/** What of a listener its chains are built with. */
function sameForChains(a: Listener, b: Listener): boolean {
  return a.trafficDirection === b.trafficDirection && a.perConnectionBufferLimit === b.perConnectionBufferLimit && a.bypassOverloadManager === b.bypassOverloadManager && listenerPrefix(a) === listenerPrefix(b);
}

/** All chains but those that `keeper` still has. */
export function release({ chains }: Pick<Generation, 'chains'>, keeper: Generation | null = null): void {
  const kept = new Set(keeper?.chains.values());
  for (const chain of chains.values()) if (!kept.has(chain)) chain.release();
}

/** Null when the listener has nothing to ask the kernel. */
async function socketOptionsFor(listener: Listener, { options }: ChainDeps): Promise<Result<SocketOptions | null>> {
  const asks = listener.transparent ? 'transparent' : listener.useOriginalDst ? 'use_original_dst' : (listener.listenerFilters.find((filter) => filter.kind === 'original_dst')?.name ?? null);
  if (asks === null || !listener.bindToPort) return ok(null);
  const helper = await (options.loadSocketOptions ?? loadSocketOptions)();
  return helper.ok ? helper : fail(`listener ${listener.name}.${asks}`, helper.error.map(({ message }) => message).join('; '));
}
