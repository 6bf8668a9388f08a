import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { NetworkNamespace } from '../network-namespace.ts';
import { MeshProcess } from '../process.ts';
import { programCommand } from '../programs.ts';

/**
 * Programs that know of nothing (getent, curl) on a machine of their own, whose only name server has never heard of the mesh's hosts: they find them
 * by the proxy's DNS server, and by the address they are told the proxy knows whom they mean.
 */
const proxyUser = 1337;
const dir = mkdtempSync(join(tmpdir(), 'meltemi-names-'));
const processes: MeshProcess[] = [];
const client = new NetworkNamespace('app');
const far = new NetworkNamespace('far');
const etc = join('/etc/netns', client.name);
after(async () => {
  await Promise.all(processes.map((each) => each.stop()));
  for (const each of [client, far]) each.remove();
  for (const each of [dir, etc]) rmSync(each, { recursive: true, force: true });
});

const entry = (name: string, port: number) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name} }
spec:
  hosts: [${name}.example.com]
  ports: [{ number: 80, name: http, protocol: HTTP }, { number: 5000, name: tcp, protocol: TCP }]
  resolution: STATIC
  endpoints: [{ address: 10.80.0.1, ports: { http: ${port}, tcp: ${port} } }]
---
`;
const yaml = `trustDomain: cluster.local
---
${entry('red', 8001)}${entry('blue', 8002)}apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: wild }
spec: { hosts: ["*.wild.example.com"], addresses: [192.0.2.77], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: STATIC, endpoints: [{ address: 10.80.0.1, ports: { http: 8001 } }] }
---
apiVersion: v1
kind: Service
metadata: { name: svc }
spec: { clusterIP: 10.96.0.5, ports: [{ name: http, port: 80 }] }
`;

async function start(name: string, at: NetworkNamespace, command: readonly string[], options: { uid?: number; env?: Record<string, string> } = {}): Promise<MeshProcess> {
  const process = new MeshProcess({ name, command: at.command(command, options.uid), logFile: join(dir, `${name}.log`), ...(options.env !== undefined && { env: options.env }) });
  processes.push(process);
  await process.start();
  return process;
}

/** A name server that knows outside.test alone, over UDP and TCP. */
const nameServer = `const answer = (query) => {
    const end = query.indexOf(0, 12) + 5, known = /outside.test/.test(query.subarray(12, end).toString('latin1').replace(/[\\x01-\\x1f]/g, '.'));
    const reply = Buffer.concat([query.subarray(0, end), known && query[end - 3] === 1 ? Buffer.from('c00c000100010000003c0004cb007109', 'hex') : Buffer.alloc(0)]);
    reply.writeUInt16BE(known ? 0x8180 : 0x8183, 2); reply.writeUInt16BE(reply.length > end ? 1 : 0, 6); reply.writeUInt32BE(0, 8);
    return reply;
  };
  const udp = require('dgram').createSocket('udp4').on('message', (query, from) => udp.send(answer(query), from.port, from.address)).bind(53);
  require('net').createServer((socket) => socket.on('error', () => {}).on('data', (bytes) => { const reply = answer(bytes.subarray(2)); socket.write(Buffer.concat([Buffer.from([0, reply.length]), reply])); })).listen(53);`;

const backends = `for (const port of [8001, 8002]) require('node:http').createServer((request, answer) => answer.end(port + ' ' + request.headers.host + ' ' + (request.headers['x-request-id'] ? 'by proxy' : 'direct'))).listen(port);`;

before(async () => {
  NetworkNamespace.connect({ at: client, addresses: ['10.80.0.2/24', 'fd80::2/64'] }, { at: far, addresses: ['10.80.0.1/24', 'fd80::1/64'] });
  client.ip('route', 'add', 'default', 'via', '10.80.0.1');
  mkdirSync(etc, { recursive: true });
  writeFileSync(join(etc, 'resolv.conf'), 'nameserver 10.80.0.1\nsearch default.svc.cluster.local svc.cluster.local\noptions ndots:5\n');
  mkdirSync(join(dir, 'yaml'));
  writeFileSync(join(dir, 'yaml/mesh.yaml'), yaml);
  await start('backends', far, [process.execPath, '-e', backends]);
  // Pilot on the workload's own loopback, which nobody captures: nothing here is about who may talk to it.
  await start('pilot', client, [...programCommand('pilot', 'bundle'), '--config-dir', join(dir, 'yaml'), '--state-dir', join(dir, 'pilot'), '--listen', '127.0.0.1:15012', '--plaintext-listen', '127.0.0.1:15010', '--admin-listen', '127.0.0.1:15014', '--config-socket', join(dir, 'config.sock')]);
  const proxy = [...programCommand('proxy', 'bundle'), '--service-node', 'sidecar~10.80.0.2~client-1.default~default.svc.cluster.local', '--discovery-address', '127.0.0.1:15010', '--discovery-plaintext', '--concurrency', '2', '--dns-forward-timeout', '1s'];
  await start('proxy', client, proxy, { uid: proxyUser, env: { ISTIO_META_DNS_CAPTURE: 'true' } });
  await waitFor('the proxy', async () => (await client.run(['curl', '-sf', '--max-time', '2', 'http://127.0.0.1:15021/healthz/ready'])).code === 0, { deadlineMs: 60_000, everyMs: 200 })
    .catch((cause: unknown) => { throw new Error(`${String(cause)}\n${processes.map((each) => `${each.spec.name}: ${each.tail().slice(-700)}`).join('\n')}`); });
});

/** "address" lines of getent for one family; empty: there is none. */
async function lookup(name: string, { family = 'v4', tcp = false }: { family?: 'v4' | 'v6'; tcp?: boolean } = {}): Promise<string> {
  const { out } = await client.run([...(tcp ? ['env', 'RES_OPTIONS=use-vc'] : []), 'getent', `ahosts${family}`, name]);
  return [...new Set(out.split('\n').map((line) => line.split(' ')[0] ?? ''))].filter((address) => address !== '' && !address.startsWith('::ffff:')).join();
}

const curl = async (url: string) => {
  const { out, code, err } = await client.run(['curl', '-sS', '--max-time', '5', url]);
  return code === 0 ? out : `curl ${code} ${err.trim()}`;
};

for (const backend of ['iptables', 'nftables']) {
  test(`${backend}: hosts of the mesh have names, and each is reached by the address it was given; all other names come from the name server`, async (t) => {
    const ran = await client.run([...programCommand('cli', 'bundle'), 'intercept', 'apply', '--backend', backend, '--redirect-dns']);
    assert.equal(ran.code, 0, ran.err);
    t.after(() => client.run([...programCommand('cli', 'bundle'), 'intercept', 'remove']));
    const names = await start(`names-${backend}`, far, [process.execPath, '-e', nameServer]);
    await waitFor('the name server', async () => (await lookup('outside.test')) === '203.0.113.9', { deadlineMs: 15_000 });
    const red = await lookup('red.example.com');
    assert.match(red, /^240\.240\.\d+\.\d+$/);
    assert.deepEqual({
      overTcp: await lookup('red.example.com', { tcp: true }), outsideOverTcp: await lookup('outside.test', { tcp: true }), wild: await lookup('any.wild.example.com'), short: await lookup('svc'), namespaced: await lookup('svc.default'),
      // the proxy has IPv4 alone: a name that is known has no address of the other family, and is not asked of anybody
      v6: await lookup('red.example.com', { family: 'v6' }), unknown: await lookup('nobody.example.com'),
    }, { overTcp: red, outsideOverTcp: '203.0.113.9', wild: '192.0.2.77', short: '10.96.0.5', namespaced: '10.96.0.5', v6: '', unknown: '' });
    // TCP ports of two hosts with one number: only the address tells them apart
    assert.deepEqual([await curl('http://red.example.com/'), await curl('http://red.example.com:5000/'), await curl('http://blue.example.com:5000/'), await curl('http://any.wild.example.com/')],
      ['8001 red.example.com by proxy', '8001 red.example.com:5000 direct', '8002 blue.example.com:5000 direct', '8001 any.wild.example.com by proxy']);
    await names.stop();
    assert.deepEqual([await lookup('blue.example.com') !== '', await lookup('outside.test')], [true, ''], 'a dead name server is no trouble for hosts of the mesh');
  });
}
