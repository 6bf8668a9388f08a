import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { compileFormat, compileJsonFormat, type StreamInfo } from '@meltemi/http';
import { expositionText } from '@meltemi/observe';
import { TwoHops, type Entrance } from './two-hops.ts';

// What clients send stands in logs and metrics as what it is: one line an entry, JSON that parses, no labels that clients make up by the thousand.

let mesh: TwoHops;
before(async () => {
  mesh = await TwoHops.start(151);
});
after(() => mesh.stop());

const text = '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%REQ(X-FORWARDED-FOR)%" %REQUESTED_SERVER_NAME%';
const json = { method: '%REQ(:METHOD)%', path: '%REQ(:PATH)%', agent: '%REQ(USER-AGENT)%', both: 'a %REQ(USER-AGENT)% b', code: '%RESPONSE_CODE%', host: '%REQ(:AUTHORITY)%' };

function written(info: StreamInfo): { readonly line: string; readonly object: Record<string, unknown> } {
  const [line, object] = [compileFormat(text), compileJsonFormat(json)];
  assert.ok(line.ok && object.ok);
  return { line: line.value.format(info), object: JSON.parse(object.value.format(info)) as Record<string, unknown> };
}

/** The file sinks show what is left of them, beyond ASCII. */
const control = /(?=\p{ASCII})\p{Cc}/u;

const agents = ['"} {"code": 200, "agent": "', '\\', '\\"', 'a\tb', '%REQ(AUTHORIZATION)%', '${jndi:ldap://x}', '\xe2\x80\xa8next line', '\xff\xfe', '"', "' OR 1=1", '</script>'];

for (const agent of agents)
  test(`the user agent ${JSON.stringify(agent)}`, async () => {
    mesh.forget();
    const attacker = await mesh.connect('gateway');
    attacker.send(`GET /a HTTP/1.1\r\nhost: web.foo\r\nuser-agent: ${agent}\r\n\r\n`);
    await attacker.responses(1);
    attacker.close();
    const [info] = mesh.decided('gateway');
    assert.ok(info);
    const { line, object } = written(info);
    assert.doesNotMatch(line.replaceAll('\t', ''), control);
    assert.deepEqual([object['agent'], object['both'], object['code']], [agent, `a ${agent} b`, 200]);
  });

for (const agent of ['a\r\n[forged] "GET / HTTP/1.1" 200', 'a\nb', 'a\rb', '\x1b[31mred', 'a\x08\x08b', 'a\0b', '\x7f'])
  test(`no entry has ${JSON.stringify(agent)} in it`, async () => {
    mesh.forget();
    const attacker = await mesh.connect('gateway');
    attacker.send(`GET /a HTTP/1.1\r\nhost: web.foo\r\nuser-agent: ${agent}\r\n\r\n`);
    await attacker.responsesOrEnd(1);
    attacker.close();
    for (const info of mesh.gateway.logged) assert.doesNotMatch(written(info).line.replaceAll('\t', ''), control);
  });

const seriesOf = (entrance: Entrance) => expositionText(mesh.proxy(entrance).metrics).split('\n').filter((line) => line.startsWith('istio_requests_total{'));

test('hosts and methods that clients make up make no labels', async () => {
  const attacker = await mesh.connect('gateway');
  const requests = Array.from({ length: 300 }, (_, i) => `${i % 2 === 0 ? 'GET /a' : 'OPTIONS *'} HTTP/1.1\r\nhost: made-up-${i}.test\r\n\r\n`);
  for (const [i, request] of requests.entries()) {
    attacker.send(request);
    await attacker.responses(i + 1);
  }
  attacker.close();
  for (const entrance of ['gateway', 'sidecar'] as const) {
    const series = seriesOf(entrance);
    assert.ok(series.length > 0 && series.length < 20, `${entrance}: ${series.length} series`);
    assert.doesNotMatch(series.join('\n'), /made-up/);
  }
});

test('an answer’s status of gRPC ends no line of the metrics', async () => {
  mesh.application.answer = () => 'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 0"} 1\\n forged{a="\xff\r\ncontent-length: 0\r\n\r\n';
  const attacker = await mesh.connect('gateway');
  attacker.send('POST /a HTTP/1.1\r\nhost: web.foo\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n\r\n');
  await attacker.responses(1);
  attacker.close();
  for (const line of expositionText(mesh.gateway.metrics).split('\n')) assert.match(line, /^(?:#.*|[a-z_:]+(?:\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\n"])*",?)*\})? [-+.\dNaInfe]+|)$/, line);
});
