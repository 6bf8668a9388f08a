import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalMesh } from '../../index.ts';
import { programsFrom } from '../bookinfo-mesh.ts';
import { OpensslAuthority } from '../openssl-authority.ts';

const bundlePort = 25_191;
const nets = { a: 91, b: 92 } as const;
type Side = keyof typeof nets;

/** Two meshes of two trust domains, a.example and b.example, that federate: B by HTTPS as on the web, A by SPIFFE. B's authority is made by openssl, so that tests can sign what no citadel would. */
export class TwoMeshes {
  readonly dir = mkdtempSync(join(tmpdir(), 'meltemi-interop-'));
  readonly a: LocalMesh;
  readonly b: LocalMesh;

  constructor(extra: { readonly a: string; readonly b: string }) {
    const web = new OpensslAuthority(join(this.dir, 'web'));
    const site = web.issue('localhost');
    this.#makeAuthority();
    const bRoot = readFileSync(join(this.dir, 'cacerts/root-cert.pem'), 'utf8');
    this.a = this.#mesh('a', extra.a, {
      caCertificates: [{ pem: bRoot, trustDomains: ['b.example'] }, { spiffeBundleUrl: `https://127.${nets.b}.0.1:15024/bundle.json`, trustDomains: ['b.example'] }],
      citadelArgs: ['--bundle-endpoint-ids', 'spiffe://b.example/ns/istio-system/sa/meltemi-citadel', '--bundle-listen', `127.0.0.1:${bundlePort}`, '--bundle-certificate', site.certificateFile, '--bundle-key', site.keyFile, '--bundle-refresh-hint', '1s', '--workload-cert-ttl', '60s'],
    });
    this.b = this.#mesh('b', extra.b, {
      caCertificates: [{ spiffeBundleUrl: `https://localhost:${bundlePort}/bundle.json`, trustDomains: ['a.example'] }],
      citadelArgs: ['--cacerts', join(this.dir, 'cacerts'), '--bundle-endpoint-ca', web.file, '--bundle-listen', `127.${nets.b}.0.1:15024`, '--bundle-refresh-hint', '1s'],
    });
  }

  async start(): Promise<void> {
    await this.a.start();
    await this.b.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.a.stop(), this.b.stop()]);
    if (process.env['MELTEMI_E2E_KEEP'] === undefined) rmSync(this.dir, { recursive: true, force: true });
    else console.error(`kept: ${this.dir}`);
  }

  /** Where the sidecar of a workload in mesh A serves its identity. */
  socket(deployment: string): string {
    return join(this.dir, 'a-sockets', deployment);
  }

  /** A certificate of B's authority, whatever it says. */
  signedByB(uri: string): { readonly cert: string; readonly key: string } {
    const dir = mkdtempSync(join(this.dir, 'signed-'));
    writeFileSync(join(dir, 'ext'), `subjectAltName=critical,URI:${uri}\nextendedKeyUsage=clientAuth,serverAuth\nkeyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n`);
    openssl(dir, 'req', '-new', ...curve, '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/O=b');
    openssl(dir, 'x509', '-req', '-in', 'leaf.csr', '-CA', '../cacerts/ca-cert.pem', '-CAkey', '../cacerts/ca-key.pem', '-CAcreateserial', '-days', '1', '-extfile', 'ext', '-out', 'leaf.pem');
    const chain = [join(dir, 'leaf.pem'), join(this.dir, 'cacerts/ca-cert.pem')].map((file) => readFileSync(file, 'utf8')).join('');
    return { cert: chain, key: readFileSync(join(dir, 'leaf.key'), 'utf8') };
  }

  #makeAuthority(): void {
    const dir = join(this.dir, 'cacerts');
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, 'ext'), 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n');
    openssl(dir, 'req', '-x509', ...curve, '-keyout', 'root-key.pem', '-out', 'root-cert.pem', '-days', '2', '-subj', '/O=b/CN=root', '-addext', 'keyUsage=critical,keyCertSign,cRLSign');
    openssl(dir, 'req', '-new', ...curve, '-keyout', 'ca-key.pem', '-out', 'ca.csr', '-subj', '/O=b/CN=mesh');
    openssl(dir, 'x509', '-req', '-in', 'ca.csr', '-CA', 'root-cert.pem', '-CAkey', 'root-key.pem', '-CAcreateserial', '-days', '2', '-extfile', 'ext', '-out', 'ca-cert.pem');
    writeFileSync(join(dir, 'cert-chain.pem'), readFileSync(join(dir, 'ca-cert.pem')));
  }

  #mesh(side: Side, extra: string, options: { readonly caCertificates: readonly object[]; readonly citadelArgs: readonly string[] }): LocalMesh {
    const dir = join(this.dir, side);
    mkdirSync(dir);
    const meshConfig = join(dir, 'mesh.yaml');
    writeFileSync(meshConfig, JSON.stringify({ trustDomain: `${side}.example`, rootNamespace: 'istio-system', proxyHttpPort: 15002, defaultConfig: { interceptionMode: 'NONE' }, caCertificates: options.caCertificates }));
    const manifest = join(dir, 'workloads.yaml');
    writeFileSync(manifest, `${workloads}\n---\n${extra}`);
    return new LocalMesh({
      workDir: join(dir, 'work'), net: nets[side], from: programsFrom, manifests: [manifest], meshConfig, trustDomain: `${side}.example`, withoutTelemetry: true,
      citadelArgs: [...options.citadelArgs, '--mesh-config', meshConfig],
      ...(side === 'a' && { proxyArgs: (deployment: string) => ['--workload-socket', this.socket(deployment)] }),
    });
  }
}

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export function openssl(cwd: string, ...args: readonly string[]): string {
  return execFileSync('openssl', args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000, encoding: 'utf8' });
}

const deployment = (name: string, args: readonly string[], ports: readonly number[]) => JSON.stringify({
  apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace: 'default' },
  spec: { selector: { matchLabels: { app: name } }, template: { metadata: { labels: { app: name } }, spec: { serviceAccountName: name, containers: [{ name: 'app', image: 'meltemi/echo', args, ports: ports.map((containerPort) => ({ containerPort })) }] } } },
});

/** Every mesh has a server, which takes mutual TLS alone, and a client. */
const workloads = [
  deployment('server', ['--http', '8080', '--grpc', '7070', '--version', 'v1'], [8080, 7070]), deployment('client', ['--tcp', '7000'], [7000]),
  JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'server', namespace: 'default' }, spec: { selector: { app: 'server' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }, { name: 'grpc', port: 90, targetPort: 7070 }] } }),
  JSON.stringify({ apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication', metadata: { name: 'default', namespace: 'istio-system' }, spec: { mtls: { mode: 'STRICT' } } }),
].join('\n---\n');

/** A service of the other mesh, by the address of its sidecar and the one identity its servers may have. */
export function foreignService(host: string, at: { readonly address: string; readonly port: number; readonly identity: string }): string {
  return [
    { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata: { name: host.replaceAll('.', '-'), namespace: 'default' }, spec: { hosts: [host], location: 'MESH_INTERNAL', resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], endpoints: [{ address: at.address, ports: { http: at.port } }] } },
    { apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata: { name: host.replaceAll('.', '-'), namespace: 'default' }, spec: { host, trafficPolicy: { tls: { mode: 'ISTIO_MUTUAL', subjectAltNames: [at.identity] } } } },
  ].map((object) => JSON.stringify(object)).join('\n---\n');
}

export const address = (side: Side, workload: number): string => `127.${nets[side]}.1.${workload}`;
