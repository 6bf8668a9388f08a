import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { NameTable } from '@meltemi/api/gen/istio/networking/nds/v1/nds.ts';
import { systemClock, waitFor } from '@meltemi/base';
import { StatsRegistry } from '@meltemi/observe';
import { answerOf, parseQuery, withId, type DnsQuery } from '@meltemi/proxy';
import { DnsServer } from './dns-server.ts';
import { dnsStats, type DnsStats } from './stats.ts';
import { framed, Unframer } from './tcp-exchange.ts';
import { Upstreams, type NameServer } from './upstreams.ts';

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

const table = Buffer.from(NameTable.encode({ table: {
  'web.example.com': { ips: ['240.240.0.1'], registry: 'External', shortname: '', namespace: '', altHosts: [] },
  'many.example.com': { ips: Array.from({ length: 100 }, (_, i) => `10.0.0.${i + 1}`), registry: 'External', shortname: '', namespace: '', altHosts: [] },
} }).finish());

interface Running {
  readonly port: number;
  readonly server: DnsServer;
  readonly stats: DnsStats;
}

async function dnsServer(servers: readonly NameServer[], options: { parallel?: boolean; timeoutMs?: number; maxOutstanding?: number; forwardBeforeTable?: boolean; without?: 'table' } = {}): Promise<Running> {
  const stats = dnsStats(new StatsRegistry());
  const { parallel = false, timeoutMs = 2000, maxOutstanding = 512 } = options;
  const server = new DnsServer({ names: { namespace: 'default', domain: 'svc.cluster.local', search: [] }, upstreams: new Upstreams({ servers, parallel, timeoutMs, maxOutstanding }), forwardBeforeTable: options.forwardBeforeTable ?? false, stats, clock: systemClock });
  if (options.without === undefined) server.take(table);
  const port = await server.listen([{ address: '127.0.0.1', optional: false }, { address: '::1', optional: true }], 0);
  stops.push(() => server.stop());
  return { port, server, stats };
}

/** A query for the addresses of a name. */
function queryFor(name: string, id = 7, type = 1): Buffer {
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
  return Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, type, 0, 1]);
}

function parsed(message: Uint8Array): DnsQuery {
  const read = parseQuery(message);
  assert.ok(read.kind === 'query');
  return read.query;
}

/** What a client hears over UDP; undefined: nothing within the time. */
async function ask(port: number, query: Buffer, { address = '127.0.0.1', waitMs = 5000 } = {}): Promise<Buffer | undefined> {
  const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4');
  try {
    socket.send(query, port, address);
    const [answer] = (await once(socket, 'message', { signal: AbortSignal.timeout(waitMs) }).catch(() => [])) as [Buffer?];
    return answer;
  } finally {
    socket.close();
  }
}

async function askTcp(port: number, ...queries: Buffer[]): Promise<Buffer[]> {
  const socket = connect(port, '127.0.0.1');
  const unframer = new Unframer();
  const answers: Buffer[] = [];
  for (const query of queries) socket.write(framed(query));
  socket.on('data', (bytes: Buffer) => {
    unframer.add(bytes);
    for (let next = unframer.next(); next; next = unframer.next()) answers.push(next);
  });
  try {
    await waitFor(`${queries.length} answers`, () => answers.length === queries.length);
  } finally {
    socket.destroy();
  }
  return answers;
}

/** rcode, truncated, answers. */
const facts = (answer: Buffer | undefined) => answer && [(answer[3] ?? 0) & 15, ((answer[2] ?? 0) & 2) !== 0, answer.readUInt16BE(6)];

/** A name server; `answer` says what goes back, null nothing. Counts what it heard. */
async function upstream(answer: (query: DnsQuery, message: Buffer) => Uint8Array | null, tcp?: (query: DnsQuery, message: Buffer) => Uint8Array | null): Promise<NameServer & { heard: Buffer[]; heardTcp: Buffer[] }> {
  const sockets = new Set<Socket>();
  const [heard, heardTcp]: [Buffer[], Buffer[]] = [[], []];
  const stream = createServer((socket) => {
    sockets.add(socket);
    const unframer = new Unframer();
    socket.on('error', () => undefined).on('data', (bytes: Buffer) => {
      unframer.add(bytes);
      const message = unframer.next();
      if (!message) return;
      heardTcp.push(message);
      const reply = (tcp ?? answer)(parsed(message), message);
      if (reply) socket.write(framed(reply));
    });
  });
  await once(stream.listen(0, '127.0.0.1'), 'listening');
  const { port } = stream.address() as AddressInfo;
  const datagrams = dgram.createSocket('udp4');
  datagrams.on('message', (message, from) => {
    heard.push(message);
    const reply = answer(parsed(message), message);
    if (reply) datagrams.send(reply, from.port, from.address);
  });
  datagrams.bind(port, '127.0.0.1');
  await once(datagrams, 'listening');
  stops.push(() => {
    for (const socket of sockets) socket.destroy();
    stream.close();
    datagrams.close();
  });
  return { address: '127.0.0.1', port, heard, heardTcp };
}

const addresses = (query: DnsQuery, count: number) => answerOf(query, Array.from({ length: count }, (_, i) => ({ name: query.name, type: 1 as const, address: Uint8Array.of(192, 0, 2, i) })), 65_535);

test('hosts of the table are answered over UDP and TCP, IPv4 and IPv6, without asking anybody', async () => {
  const { port, stats } = await dnsServer([]);
  for (const address of ['127.0.0.1', '::1']) assert.deepEqual(facts(await ask(port, queryFor('web.example.com'), { address })), [0, false, 1], address);
  assert.deepEqual(facts(await ask(port, queryFor('web.example.com', 7, 28))), [0, false, 0], 'a family it has not');
  assert.deepEqual((await askTcp(port, queryFor('web.example.com', 1), queryFor('many.example.com', 2))).map((answer) => [answer.readUInt16BE(0), ...(facts(answer) ?? [])]), [[1, 0, false, 1], [2, 0, false, 100]]);
  assert.deepEqual(facts(await ask(port, queryFor('many.example.com'))), [0, true, 29], 'more than 512 bytes');
  assert.deepEqual([stats.requests.value, stats.upstreamRequests.value], [6, 0]);
});

test('other names are asked of the name servers, under an id and from a port of their own, and the client hears its own id', async () => {
  const far = await upstream((query) => addresses(query, 2));
  const { port, stats } = await dnsServer([far]);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(port, queryFor('other.example.com', i))));
  assert.deepEqual(answers.map((answer) => [answer?.readUInt16BE(0), answer?.readUInt16BE(6)]), Array.from({ length: 20 }, (_, i) => [i, 2]));
  assert.ok(new Set(far.heard.map((message) => message.readUInt16BE(0))).size > 10);
  assert.deepEqual([stats.upstreamRequests.value, stats.upstreamFailures.value], [20, 0]);
  assert.equal((await askTcp(port, queryFor('other.example.com')))[0]?.readUInt16BE(6), 2);
  assert.equal(far.heardTcp.length, 1);
});

test('answers under another id, or to another question, are not heard', async () => {
  const forger = await upstream((query, message) => withId(addresses(query, 1), message.readUInt16BE(0) ^ 1));
  const mistaken = await upstream((query) => addresses({ ...query, question: Buffer.concat([Buffer.from([1, 120]), query.question]) }, 1));
  for (const far of [forger, mistaken]) {
    const { port } = await dnsServer([far], { timeoutMs: 300 });
    assert.deepEqual(facts(await ask(port, queryFor('other.example.com'))), [2, false, 0]);
    assert.deepEqual(facts((await askTcp(port, queryFor('other.example.com')))[0]), [2, false, 0]);
  }
});

test('what an upstream cut is asked for again over TCP, and cut only for clients without room', async () => {
  const far = await upstream((query) => { const cut = addresses(query, 1); cut[2] = (cut[2] ?? 0) | 2; return cut; }, (query) => addresses(query, 100));
  const { port } = await dnsServer([far]);
  assert.deepEqual(facts(await ask(port, queryFor('other.example.com'))), [0, true, 29]);
  const edns = Buffer.concat([queryFor('other.example.com'), Buffer.from([0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0])]);
  edns[11] = 1;
  assert.deepEqual(facts(await ask(port, edns)), [0, false, 100]);
});

test('dead name servers: the next one is asked, and when all are dead the client is told so in time', async () => {
  const far = await upstream((query) => addresses(query, 1));
  const silent = await upstream(() => null);
  const gone = { address: '127.0.0.1', port: 1 };
  const { port } = await dnsServer([gone, silent, far], { timeoutMs: 200 });
  for (let i = 0; i < 6; i++) assert.deepEqual(facts(await ask(port, queryFor('other.example.com'))), [0, false, 1]);
  const dead = await dnsServer([gone, silent], { timeoutMs: 200 });
  assert.deepEqual(facts(await ask(dead.port, queryFor('other.example.com'))), [2, false, 0]);
  assert.deepEqual([dead.stats.upstreamRequests.value, dead.stats.upstreamFailures.value], [1, 1]);
  assert.deepEqual(facts(await ask((await dnsServer([])).port, queryFor('other.example.com'))), [2, false, 0]);
});

test('in parallel the fastest name server answers', async () => {
  const far = await upstream((query) => addresses(query, 1));
  const silent = await upstream(() => null);
  const { port } = await dnsServer([silent, far], { parallel: true, timeoutMs: 60_000 });
  for (let i = 0; i < 4; i++) assert.deepEqual(facts(await ask(port, queryFor('other.example.com'))), [0, false, 1]);
});

test('questions beyond the limit fail at once, and hosts of the table are answered all the same', async () => {
  const silent = await upstream(() => null);
  const { port } = await dnsServer([silent], { maxOutstanding: 3, timeoutMs: 60_000 });
  const waiting = [1, 2, 3].map((id) => ask(port, queryFor('other.example.com', id), { waitMs: 500 }));
  await waitFor('three questions', () => silent.heard.length === 3);
  assert.deepEqual(facts(await ask(port, queryFor('other.example.com', 4))), [2, false, 0]);
  assert.deepEqual(facts(await ask(port, queryFor('web.example.com'))), [0, false, 1]);
  assert.deepEqual(await Promise.all(waiting), [undefined, undefined, undefined]);
});

test('before the first table names fail; on port 53 they are asked of others', async () => {
  const far = await upstream((query) => addresses(query, 1));
  assert.deepEqual(facts(await ask((await dnsServer([far], { without: 'table' })).port, queryFor('web.example.com'))), [2, false, 0]);
  assert.deepEqual(facts(await ask((await dnsServer([far], { without: 'table', forwardBeforeTable: true })).port, queryFor('web.example.com'))), [0, false, 1]);
});

test('what is no query is refused or ignored; a table that cannot be read leaves the last one', async () => {
  const { port, server } = await dnsServer([]);
  assert.deepEqual(facts(await ask(port, Buffer.from([0, 9, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0]))), [1, false, 0]);
  assert.equal(await ask(port, Buffer.from([0, 9, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]), { waitMs: 100 }), undefined);
  assert.throws(() => server.take(Buffer.from([0x0a, 0xff])));
  assert.deepEqual(Object.keys(server.table.table), ['web.example.com', 'many.example.com']);
  assert.deepEqual(facts(await ask(port, queryFor('web.example.com'))), [0, false, 1]);
});

test('stopped, nobody waits and the ports are free', async () => {
  const silent = await upstream(() => null);
  const { port, server } = await dnsServer([silent], { timeoutMs: 60_000 });
  const waiting = ask(port, queryFor('other.example.com'), { waitMs: 200 });
  await waitFor('the question', () => silent.heard.length === 1);
  await server.stop();
  assert.equal(await waiting, undefined);
  const again = new DnsServer({ names: { namespace: '', domain: '', search: [] }, upstreams: new Upstreams({ servers: [], parallel: false, timeoutMs: 1 }), forwardBeforeTable: false, stats: dnsStats(new StatsRegistry()), clock: systemClock });
  stops.push(() => again.stop());
  assert.equal(await again.listen([{ address: '127.0.0.1', optional: false }], port), port);
});
