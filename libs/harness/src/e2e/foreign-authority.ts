import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';

/** A certificate with the mesh's names, from an authority that openssl just made and nobody trusts. */
export function foreignAuthority(spiffeId: string): { cert: string; key: string } {
  const dir = mkdtempSync(join(tmpdir(), 'meltemi-foreign-ca-'));
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  try {
    openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '1', '-subj', '/O=cluster.local/CN=root');
    openssl('req', ...key, '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/O=meltemi');
    writeFileSync(join(dir, 'san'), `subjectAltName=critical,URI:${spiffeId}\nextendedKeyUsage=clientAuth,serverAuth\n`);
    openssl('x509', '-req', '-in', 'leaf.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out', 'leaf.pem', '-days', '1', '-extfile', 'san');
    return { cert: `${readFileSync(join(dir, 'leaf.pem'), 'utf8')}${readFileSync(join(dir, 'ca.pem'), 'utf8')}`, key: readFileSync(join(dir, 'leaf.key'), 'utf8') };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** One GET over TLS with Istio's ALPN, whoever the server is; the raw answer. Rejects when the connection ends without one. */
export function overTls(call: { address: string; port: number; path: string; cert?: string; key?: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    const { address: host, port, cert, key } = call;
    const socket = connect({ host, port, ALPNProtocols: ['istio-http/1.1', 'istio'], rejectUnauthorized: false, ...(cert && key ? { cert, key } : {}) });
    const parts: Buffer[] = [];
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer within 10 s')));
    socket.once('secureConnect', () => socket.write(`GET ${call.path} HTTP/1.1\r\nHost: mesh\r\nConnection: close\r\n\r\n`));
    socket.on('data', (part: Buffer) => parts.push(part));
    socket.once('error', reject);
    socket.once('close', () => (parts.length > 0 ? resolve(Buffer.concat(parts).toString('utf8')) : reject(new Error('closed without an answer'))));
  });
}
