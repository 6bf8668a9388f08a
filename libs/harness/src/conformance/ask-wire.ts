import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { withDeadline } from '@meltemi/base';
import { clientSide, hostOf, type Answer, type Call } from '@meltemi/explain';
import type { StreamInfo } from '@meltemi/http';
import { bearerToken } from './tokens.ts';
import type { Surroundings, WireProxy } from './wire-proxy.ts';

const deadlineMs = 10_000;

/** What a real client saw, in the words of `explain`. Names are those of the access log. */
export type WireAnswer = Pick<Answer, 'outcome' | 'status' | 'grpcStatus' | 'location' | 'cluster' | 'route' | 'rule' | 'details'> & { readonly path?: string; readonly authority?: string };

/** Sends one call through the proxy as a client would, and reads what comes of it. */
export async function askWire(proxy: WireProxy, call: Call, surroundings: Surroundings): Promise<WireAnswer> {
  const side = clientSide(proxy.view, call);
  const port = proxy.entrance(call, side);
  if (port === null) return { outcome: 'no_listener' };
  surroundings.upstream.seen.length = 0;
  surroundings.authorizer.verdict = surroundings.grpcAuthorizer.verdict = Object.values(call.extAuthz).includes('deny') ? 'deny' : 'allow';
  const localAddress = call.sourceAddress.startsWith('127.') ? call.sourceAddress : proxy.address;
  const tcp = connectTcp({ host: proxy.address, port, localAddress });
  let socket: Socket = tcp;
  let client: string | null = null;
  const unmatched = proxy.unmatched;
  try {
    await opened(tcp, 'connect');
    client = addressOf(tcp);
    if (call.tls !== 'none') socket = await secured(tcp, call, { client: side, surroundings });
    const spoken = call.protocol === 'http2' || call.protocol === 'grpc' ? await speakHttp2(socket, call) : await speak(socket, call);
    // a TCP session is logged at its end
    socket.end();
    if (proxy.unmatched > unmatched) return { outcome: 'no_filter_chain' };
    const info = await proxy.entry(client);
    // a certificate that does not please is seen after the handshake (TLS 1.3), and such connections are not in the log
    if (info === null && spoken.text === '' && call.tls !== 'none') return { outcome: call.tls === 'mtls' ? 'mtls_error' : 'tls_error' };
    return verdict(info, spoken, { call, surroundings });
  } catch (error) {
    socket.destroy();
    tcp.destroy();
    if (proxy.unmatched > unmatched) return { outcome: 'no_filter_chain' };
    return refused(client === null ? null : await proxy.entry(client), error);
  } finally {
    socket.destroy();
    tcp.destroy();
  }
}

function addressOf({ localAddress, localPort }: Socket): string {
  return `${localAddress}:${localPort}`;
}

/** What came back: "" = the connection ended without a byte. */
interface Spoken {
  readonly text: string;
  readonly status: number;
  readonly location: string | null;
  readonly grpcStatus?: number;
}

interface TlsScope {
  readonly client: ReturnType<typeof clientSide>;
  readonly surroundings: Surroundings;
}

async function secured(socket: Socket, call: Call, { client, surroundings }: TlsScope): Promise<TLSSocket> {
  const own = call.tls === 'mtls' ? surroundings.authority.issue(client.principal || 'spiffe://cluster.local/ns/default/sa/client') : null;
  const tls = connectTls({
    socket, rejectUnauthorized: false, ALPNProtocols: [...client.alpn], ...(client.sni === '' ? {} : { servername: client.sni }),
    ...(own ? { cert: own.certificate, key: own.key } : {}),
  });
  await opened(tls, 'secureConnect');
  return tls;
}

async function opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  const open = new Promise<void>((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
  await withDeadline(open, deadlineMs, event);
}

function headers(call: Call): [string, string][] {
  const token = call.jwtClaims === undefined ? [] : [['authorization', `Bearer ${bearerToken(call.jwtClaims)}`] as [string, string]];
  return [...Object.entries(call.headers).filter(([name]) => !name.startsWith(':') && name.toLowerCase() !== 'host'), ...token];
}

function targetOf(call: Call): { method: string; path: string; host: string } {
  return { method: call.method || (call.headers[':method'] ?? (call.protocol === 'grpc' ? 'POST' : 'GET')), path: call.path || (call.headers[':path'] ?? '/'), host: hostOf(call) || call.address };
}

async function speak(socket: Socket, call: Call): Promise<Spoken> {
  const { method, path, host } = targetOf(call);
  const text = call.protocol === 'tcp' ? 'ping\r\n\r\n' : `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n${headers(call).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  const answered = new Promise<string>((resolve, reject) => {
    let all = '';
    socket.on('data', (bytes: Buffer) => {
      all += bytes.toString('latin1');
      if (call.protocol === 'tcp' || all.includes('\r\n\r\n')) resolve(all);
    });
    socket.once('error', reject);
    socket.once('close', () => resolve(all));
    socket.once('end', () => resolve(all));
  });
  socket.write(text, 'latin1');
  const all = await withDeadline(answered, deadlineMs, 'an answer');
  return { text: all, status: Number(/^HTTP\/1\.1 (\d{3})/.exec(all)?.[1] ?? 0), location: /^location: *(.*)\r$/im.exec(all)?.[1] ?? null };
}

async function speakHttp2(socket: Socket, call: Call): Promise<Spoken> {
  const { method, path, host } = targetOf(call);
  const session = connectHttp2(`http://${host || 'x'}`, { createConnection: () => socket });
  const answered = new Promise<Spoken>((resolve, reject) => {
    session.once('error', reject);
    session.once('close', () => resolve({ text: '', status: 0, location: null }));
    const stream = session.request({ ':method': method, ':path': path, ':authority': host, ...Object.fromEntries(headers(call)), ...(call.protocol === 'grpc' ? { 'content-type': 'application/grpc', te: 'trailers' } : {}) });
    stream.once('response', (fields) => resolve({ text: 'answered', status: fields[':status'] ?? 0, location: fields.location ?? null, ...(fields['grpc-status'] === undefined ? {} : { grpcStatus: Number(fields['grpc-status']) }) }));
    stream.once('error', reject);
    stream.end();
  });
  try {
    return await withDeadline(answered, deadlineMs, 'an answer');
  } finally {
    session.destroy();
  }
}

interface Context {
  readonly call: Call;
  readonly surroundings: Surroundings;
}

function verdict(info: StreamInfo | null, spoken: Spoken, { call, surroundings }: Context): WireAnswer {
  if (call.protocol === 'tcp') return tcpVerdict(spoken, info, surroundings.upstream.seen.at(-1)?.host);
  if (spoken.status === 0) return closed(info);
  const details = info?.responseCodeDetails ?? '';
  const common = { status: spoken.status, ...(spoken.grpcStatus === undefined ? {} : { grpcStatus: spoken.grpcStatus }), ...(details === '' ? {} : { details }), ...(info?.routeName ? { route: info.routeName } : {}) };
  const rule = /^(?:rbac_access_denied_matched_policy)\[(.*)\]$/.exec(details)?.[1];
  if (rule !== undefined) return { outcome: 'denied', ...common, ...(rule === 'none' ? {} : { rule }) };
  if (/^(jwt_authn_access_denied|ext_authz)/.test(details)) return { outcome: 'denied', ...common };
  if (details === 'route_not_found') return { outcome: 'no_route', ...common };
  if (spoken.status >= 300 && spoken.status < 400 && spoken.location !== null && details === 'direct_response') return { outcome: 'redirect', ...common, location: spoken.location };
  if (/^(fault_filter_abort|cors_response)$/.test(details)) return { outcome: 'direct_response', ...common };
  if (details === 'via_upstream' || info?.upstreamCluster) {
    const seen = surroundings.upstream.seen.at(-1);
    return { outcome: 'routed', ...common, cluster: info?.upstreamCluster ?? '', ...(seen ? { path: seen.path, authority: seen.host } : {}) };
  }
  if (/^(http1|http2)\.|^(low_version|missing_host_header|absolute_path_rejected|path_normalization_failed)$/.test(details)) return { outcome: 'protocol_error', ...common };
  return { outcome: 'direct_response', ...common };
}

function tcpVerdict({ text }: Spoken, info: StreamInfo | null, tunnelledTo: string | undefined): WireAnswer {
  if (text.startsWith('HTTP/1.1 ')) return { outcome: 'protocol_error' };
  if (text !== '') return { outcome: 'routed', cluster: info?.upstreamCluster ?? '', ...(tunnelledTo === undefined ? {} : { authority: tunnelledTo }) };
  return closed(info);
}

/** The proxy closed without a word. */
function closed(info: StreamInfo | null): WireAnswer {
  const details = info?.connectionTerminationDetails ?? '';
  const rule = /^rbac_access_denied_matched_policy\[(.*)\]$/.exec(details)?.[1];
  if (rule !== undefined) return { outcome: 'denied', details, ...(rule === 'none' ? {} : { rule }) };
  if (info?.downstreamTransportFailureReason) return { outcome: 'tls_error', details: info.downstreamTransportFailureReason };
  return { outcome: 'denied', ...(info?.upstreamCluster ? { cluster: info.upstreamCluster } : {}) };
}

function refused(info: StreamInfo | null, error: unknown): WireAnswer {
  const text = error instanceof Error ? `${(error as NodeJS.ErrnoException).code ?? ''} ${error.message}` : String(error);
  if (/ECONNREFUSED/.test(text)) return { outcome: 'no_listener' };
  if (/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|bad certificate|unknown ca/i.test(text)) return { outcome: 'mtls_error', details: text };
  const why = closed(info);
  if (why.rule !== undefined) return why;
  // TLS that is the application's own: the upstream of the test does not speak it
  if (info?.upstreamCluster) return { outcome: 'routed', cluster: info.upstreamCluster };
  if (why.outcome !== 'denied') return why;
  // what came back is no TLS: the proxy read the client's as HTTP and said so in plaintext
  if (/WRONG_VERSION_NUMBER/.test(text)) return { outcome: 'protocol_error', details: text };
  return { outcome: 'tls_error', details: text };
}
