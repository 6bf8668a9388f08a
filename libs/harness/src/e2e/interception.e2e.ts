import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { NetworkNamespace } from '../network-namespace.ts';
import { MeshProcess } from '../process.ts';
import { programCommand } from '../programs.ts';
import { captureBootstrap } from './capture-bootstrap.ts';

/**
 * Two machines, a cable between them: on one the workload (nginx) with its proxy, on the other its peers (curl, nginx), none of which knows of
 * any proxy. A response that passed the proxy says so in x-captured.
 */
const proxyUser = 1337;
const dir = mkdtempSync(join(tmpdir(), 'meltemi-capture-'));
const processes: MeshProcess[] = [];
const pod = new NetworkNamespace('pod');
const peer = new NetworkNamespace('peer');
after(async () => {
  await Promise.all(processes.map((each) => each.stop()));
  for (const each of [pod, peer]) each.remove();
  rmSync(dir, { recursive: true, force: true });
});

before(async () => {
  NetworkNamespace.connect({ at: pod, addresses: ['10.77.0.1/16', 'fd77::1/64'] }, { at: peer, addresses: ['10.77.0.2/16', '10.77.9.2/16', 'fd77::2/64'] });
  await nginx('app', pod, [8080, 9999]);
  await nginx('service', peer, [80, 81, 3306]);
  await proxy('proxy', captureBootstrap({ mode: 'REDIRECT' }));
});

async function nginx(name: string, at: NetworkNamespace, ports: readonly number[]): Promise<void> {
  const folder = join(dir, name);
  mkdirSync(folder);
  const servers = ports.map((port) => `server { listen ${port}; listen [::]:${port}; return 200 "${name} $remote_addr"; }`);
  writeFileSync(join(folder, 'nginx.conf'), `daemon off; error_log stderr; pid ${folder}/pid; user root; events {} http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s; ${servers.join('\n')} }`);
  await started(new MeshProcess({ name, command: at.command(['nginx', '-p', folder, '-c', join(folder, 'nginx.conf')]), logFile: join(dir, `${name}.log`) }));
  await waitFor(`${name} to listen`, async () => (await at.run(['curl', '-s', '--max-time', '2', `http://127.0.0.1:${ports[0]}/`])).code === 0, { deadlineMs: 10_000, everyMs: 50 });
}

async function proxy(name: string, bootstrap: object): Promise<MeshProcess> {
  writeFileSync(join(dir, `${name}.json`), JSON.stringify(bootstrap));
  mkdirSync(join(dir, name));
  const portsFile = join(dir, name, 'ports.json');
  // The proxy writes its ports there as its own user.
  const { code, err } = await pod.run(['chown', String(proxyUser), dir, join(dir, name)]);
  assert.equal(code, 0, err);
  const command = pod.command([...programCommand('proxy', 'bundle'), '-c', join(dir, `${name}.json`), '--concurrency', '2', '--ports-file', portsFile], proxyUser);
  return started(new MeshProcess({ name, command, logFile: join(dir, `${name}.log`), portsFile }));
}

async function started(process: MeshProcess): Promise<MeshProcess> {
  processes.push(process);
  await process.start();
  return process;
}

const intercept = async (...args: string[]) => {
  const ran = await pod.run([...programCommand('cli', 'bundle'), 'intercept', ...args]);
  assert.equal(ran.code, 0, ran.err);
  return ran.out;
};

/** What curl got: the proxy's mark or "direct", and the body. */
async function ask(from: NetworkNamespace, url: string, uid?: number): Promise<string> {
  const { out, code, err } = await from.run(['curl', '-sS', '-g', '--max-time', '5', '-w', '|%{http_code}|%header{x-captured}', url], uid === undefined ? {} : { uid });
  if (code !== 0) return `curl ${code} ${err}`;
  const [body = '', status = '', mark = ''] = out.split('|');
  return `${mark || 'direct'} ${status} ${body.trim()}`;
}

/** All that capture may change, without what changes by itself: counters, times, and the empty tables that iptables makes at first use. */
const ruleset = async () => {
  const saved = [await pod.run(['iptables-save']), await pod.run(['ip6tables-save'])].map(({ out }) => out.replaceAll(/^(#.*|:[A-Z]+ ACCEPT.*|\*.*|COMMIT)\n/gm, ''));
  const others = [await pod.run(['nft', 'list', 'tables', 'inet']), await pod.run(['ip', 'rule']), await pod.run(['ip', 'route', 'show', 'table', 'all']), await pod.run(['ip', '-o', 'addr', 'show', 'lo'])];
  return [...saved, ...others.map(({ out }) => out)].join('\n');
};

for (const backend of ['iptables', 'nftables']) {
  test(`${backend}: connections pass the proxy both ways, over IPv4 and IPv6; what is excluded does not`, async () => {
    await intercept('apply', '--backend', backend, '-d', '9999', '-o', '81', '-x', '10.77.9.0/24');
    const answers = {
      out4: await ask(pod, 'http://10.77.0.2/'), out6: await ask(pod, 'http://[fd77::2]/'),
      excludedPort: await ask(pod, 'http://10.77.0.2:81/'), excludedPort6: await ask(pod, 'http://[fd77::2]:81/'), excludedRange: await ask(pod, 'http://10.77.9.2/'), proxyItself: await ask(pod, 'http://10.77.0.2/', proxyUser),
      handedOver: await ask(pod, 'http://10.77.0.2:3306/'),
      in4: await ask(peer, 'http://10.77.0.1:8080/'), in6: await ask(peer, 'http://[fd77::1]:8080/'), excludedIn: await ask(peer, 'http://10.77.0.1:9999/'),
      toItself: await ask(pod, 'http://10.77.0.1:8080/'),
    };
    assert.deepEqual(answers, {
      out4: 'outbound 200 service 10.77.0.1', out6: 'outbound 200 service fd77::1',
      excludedPort: 'direct 200 service 10.77.0.1', excludedPort6: 'direct 200 service fd77::1', excludedRange: 'direct 200 service 10.77.0.1', proxyItself: 'direct 200 service 10.77.0.1',
      handedOver: 'mysql 200 service 10.77.0.1',
      in4: 'inbound 200 app 127.0.0.6', in6: 'inbound 200 app ::6', excludedIn: 'direct 200 app 10.77.0.2',
      toItself: 'direct 200 app 10.77.0.1',
    });
  });

  test(`${backend}: a connection to the listener itself is not followed to itself`, async () => {
    assert.match(await ask(peer, 'http://10.77.0.1:15006/'), / 503 no healthy upstream/);
    assert.match(await ask(pod, 'http://127.0.0.1:15001/'), / 503 no healthy upstream/);
  });

  test(`${backend}: applied twice is applied once, show says what is there, other rules stay, and after remove nothing is left`, async () => {
    await intercept('remove');
    const other = backend === 'iptables' ? ['iptables', '-t', 'nat', '-A', 'OUTPUT', '-d', '192.0.2.1', '-j', 'RETURN'] : ['nft', 'add', 'table', 'inet', 'other'];
    assert.equal((await pod.run(other)).code, 0);
    const clean = await ruleset();
    await intercept('apply', '--backend', backend, '-o', '81');
    const once = await ruleset();
    const shown = await intercept('show');
    await intercept('apply', '--backend', backend, '-o', '81');
    assert.equal(await ruleset(), once);
    assert.match(shown, new RegExp(`Installed with ${backend}`));
    assert.match(shown, /outbound port 81 is left alone/);
    await intercept('remove');
    assert.equal(await ruleset(), clean);
    assert.match(clean, backend === 'iptables' ? /192\.0\.2\.1/ : /table inet other/);
    assert.match(await intercept('show'), /No traffic is captured/);
    assert.deepEqual([await ask(pod, 'http://10.77.0.2/'), await ask(peer, 'http://[fd77::1]:8080/')], ['direct 200 service 10.77.0.1', 'direct 200 app fd77::2']);
  });

  test(`${backend}: DNS over UDP and TCP comes to port 15053, that of the proxy goes out`, async () => {
    const servers = [dnsServer('agent', pod.command([], proxyUser), '127.0.0.1:15053'), dnsServer('far', peer.command([]), '0.0.0.0:53')];
    for (const server of servers) await started(server);
    const query = (kind: string, uid?: number) => pod.run([process.execPath, '-e', dnsClient, kind], uid === undefined ? {} : { uid }).then(({ out, err }) => out.trim() || err);
    await waitFor('both servers', async () => (await query('udp', proxyUser)) === 'far', { deadlineMs: 10_000 });
    await intercept('apply', '--backend', backend, '--redirect-dns', '--capture-all-dns');
    await waitFor('the agent', async () => (await query('udp')) === 'agent', { deadlineMs: 10_000 });
    assert.deepEqual([await query('udp'), await query('tcp'), await query('udp', proxyUser), await query('tcp', proxyUser)], ['agent', 'agent', 'far', 'far']);
    for (const server of servers) await server.stop();
    await intercept('remove');
  });

  test(`${backend}: under TPROXY inbound connections keep both addresses`, async () => {
    const own = await proxy(`tproxy-${backend}`, captureBootstrap({ mode: 'TPROXY' }));
    const clean = await ruleset();
    await intercept('apply', '--backend', backend, '-m', 'TPROXY', '-z', '15106', '-d', '9999');
    assert.deepEqual([await ask(peer, 'http://10.77.0.1:8080/'), await ask(peer, 'http://[fd77::1]:8080/'), await ask(peer, 'http://10.77.0.1:9999/'), await ask(pod, 'http://10.77.0.2/')],
      ['tproxy 200 app 127.0.0.6', 'tproxy 200 app ::6', 'direct 200 app 10.77.0.2', 'outbound 200 service 10.77.0.1']);
    await intercept('remove');
    assert.equal(await ruleset(), clean);
    assert.equal(await ask(peer, 'http://10.77.0.1:8080/'), 'direct 200 app 10.77.0.2');
    await own.stop();
  });
}

/** A server that answers every UDP packet and TCP connection with its name. Where it captures, it is the proxy's user: its answers are told by that. */
function dnsServer(name: string, [program, ...as]: [string, ...string[]], at: string): MeshProcess {
  const script = `const [name, host, port] = process.argv.slice(1);
    const udp = require('dgram').createSocket('udp4').on('message', (_m, from) => udp.send(name, from.port, from.address)).bind(+port, host);
    require('net').createServer((socket) => socket.on('error', () => {}).end(name)).listen(+port, host);`;
  return new MeshProcess({ name, command: [program, ...as, process.execPath, '-e', script, name, ...at.split(':')], logFile: join(dir, `${name}.log`) });
}

/** Prints who answered at 10.77.0.2:53. The UDP socket is connected: an answer from another address would not arrive. */
const dnsClient = `const finish = (text) => { console.log(String(text)); process.exit(0); };
  setTimeout(() => finish('silence'), 2000);
  if (process.argv[1] === 'tcp') require('net').connect(53, '10.77.0.2').on('data', finish).on('error', (e) => finish(e.code));
  else { const s = require('dgram').createSocket('udp4').on('message', finish).on('error', (e) => finish(e.code)); s.connect(53, '10.77.0.2', () => s.send('?')); }`;
