import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { waitFor } from '@meltemi/base';
import { authority } from '../testing/authority.ts';
import { backend, type Seen } from '../testing/backend.ts';
import { RawConnection } from '../testing/client.ts';
import { startProxy, temporaryFolder } from '../testing/proxy-process.ts';
import { sample } from '../testing/samples.ts';

test('tls-sni.yaml: the server name decides where TLS ends', async () => {
  const dir = temporaryFolder();
  const ca = authority(dir, 'ca');
  ca.issue('shop', { dnsNames: ['shop.example'] });
  const leaf = ca.issue('far', { dnsNames: ['*.wild.example', 'raw.example'] });
  await using shop = await backend('shop');
  const far = https.createServer({ cert: leaf.cert, key: leaf.key }, (asked, response) => response.end(`far ${(asked.socket as TLSSocket & { servername: string }).servername}`));
  await new Promise<void>((resolve) => far.listen(0, '127.0.0.1', resolve));
  try {
    await using proxy = await startProxy(sample('tls-sni.yaml', { 8001: shop.port, 8443: (far.address() as AddressInfo).port }, dir));
    const ask = (servername: string) => new Promise<string>((resolve, reject) => {
      https.get({ host: '127.0.0.1', port: proxy.port('tls'), servername, ca: ca.pem, headers: { host: servername }, agent: false }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (part: string) => { body += part; }).on('end', () => resolve(body)).on('error', reject);
      }).on('error', reject);
    });
    assert.equal((JSON.parse(await ask('shop.example')) as Seen).headers['x-server-name'], 'shop.example');
    assert.deepEqual([await ask('a.wild.example'), await ask('raw.example')], ['far a.wild.example', 'far raw.example']);
    await assert.rejects(ask('unknown.example'));
    await waitFor('the log', () => proxy.out().includes('a.wild.example to passthrough\n'));
    const plain = new RawConnection(proxy.port('tls')).send('GET / HTTP/1.1\r\nhost: raw.example\r\n\r\n');
    assert.equal(await plain.untilClosed(), '');
  } finally {
    far.closeAllConnections();
    far.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
