import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FilterConfig, HcmConfig } from '@meltemi/snapshot';
import type { HttpFilterFactory } from '../filter.ts';
import { HttpFilterChain, type FilterConfigHolder } from './filter-chain.ts';

const typeUrl = 'type.googleapis.com/test.Filter';

/** A chain of one filter by ECDS; `send` brings its next config and begins a stream with it. */
function chainByEcds() {
  const bound: unknown[] = [];
  const released: unknown[] = [];
  const factory = {
    bind: (config: unknown) => {
      bound.push(config);
      return { events: 0, create: () => null, release: () => void released.push(config) };
    },
  } as unknown as HttpFilterFactory;
  const holder: FilterConfigHolder = { current: null };
  const filter = { name: 'one', typeUrl: '', config: null, disabled: false, discovery: { name: 'one', typeUrls: new Set([typeUrl]) } };
  const chain = new HttpFilterChain({ httpFilters: [filter] } as unknown as HcmConfig, {} as never, { httpFilter: () => factory, filterConfig: () => holder });
  const send = (config: unknown) => {
    holder.current = { typeUrl, config } satisfies FilterConfig;
    chain.build({ route: () => null, info: {} } as never, { use: () => {} });
  };
  return { chain, send, bound, released };
}

test('a config of ECDS is bound by the first stream after it, once; the one before is released when its streams are long over', () => {
  const { chain, send, bound, released } = chainByEcds();
  for (let i = 0; i < 40; i++) send(i);
  assert.deepEqual(bound, Array.from({ length: 40 }, (_, i) => i));
  assert.deepEqual(released, Array.from({ length: 40 - 17 }, (_, i) => i), 'sixteen wait for their streams, one is in use');
  chain.release();
  assert.deepEqual([...released].sort((a, b) => Number(a) - Number(b)), bound);
});
