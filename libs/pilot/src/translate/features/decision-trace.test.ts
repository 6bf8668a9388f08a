import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig } from '@meltemi/config';
import { xdsType } from '@meltemi/xds';
import { bookinfo, jsonOf, meshOf, productpage } from '../../testing/mesh.test-support.ts';
import { translate } from '../translate.ts';

const principals = (text: string) => ({ accessLogFile: '/dev/stdout', defaultConfig: { ...defaultMeshConfig().defaultConfig, proxyMetadata: { MELTEMI_TRACE_PRINCIPALS: text } } });
const own = { MELTEMI_VERSION: '1', MELTEMI_HTTP2: 'true', SERVICE_ACCOUNT: 'bookinfo-productpage' };

function listeners(mesh: Parameters<typeof meshOf>[1], metadata: Record<string, unknown>): string {
  return JSON.stringify(jsonOf(translate(meshOf(bookinfo(), mesh), productpage(metadata), { typeUrl: xdsType.listener })));
}

test('nobody may ask by default, and a proxy that is not ours is not told of it', () => {
  assert.doesNotMatch(listeners({}, own), /decision_trace/);
  assert.doesNotMatch(listeners(principals('*'), {}), /decision_trace/);
});

test('the principals of proxyMetadata may; the application itself where its own identity is one of them', () => {
  const some = listeners(principals('cluster.local/ns/ops/*, cluster.local/ns/default/sa/x'), own);
  assert.match(some, /"principals":\["cluster.local\/ns\/ops\/\*","cluster.local\/ns\/default\/sa\/x"\]/);
  assert.doesNotMatch(some, /"allow_local":true/);
  assert.match(listeners(principals('cluster.local/ns/default/sa/bookinfo-productpage'), own), /"allow_local":true/);
});

test('where somebody may ask, the default access log has a place for the answer', () => {
  assert.match(listeners(principals('*'), own), /%ROUTE_NAME% %DYNAMIC_METADATA\(meltemi:trace\)%/);
  assert.doesNotMatch(listeners({ accessLogFile: '/dev/stdout' }, own), /meltemi:trace/);
});
