import type { Answer } from '../answer.ts';
import { ask } from './ask.ts';

/** YAML of the objects that Gateway API tests are made of. Specs are written in flow style. */
export interface Written {
  readonly namespace?: string;
  readonly labels?: string;
  readonly annotations?: string;
  readonly born?: string;
}

function object(apiVersion: string, kind: string, name: string, body: string, { namespace = 'default', labels = '{}', annotations = '{}', born = '2026-01-01T00:00:00Z' }: Written = {}): string {
  return `---\napiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}, labels: ${labels}, annotations: ${annotations}, creationTimestamp: "${born}"}\n${body}\n`;
}

const api = 'gateway.networking.k8s.io/v1';

export const gateway = (name: string, listeners: string, more: Written & { readonly spec?: string } = {}): string => object(api, 'Gateway', name, `spec: {gatewayClassName: istio, listeners: [${listeners}]${more.spec ? `, ${more.spec}` : ''}}`, more);
export const route = (kind: 'HTTPRoute' | 'GRPCRoute' | 'TCPRoute' | 'TLSRoute', name: string, spec: string, more?: Written): string => object(api, kind, name, `spec: {${spec}}`, more);
export const service = (name: string, more: Written & { readonly ports?: string } = {}): string => object('v1', 'Service', name, `spec: {ports: ${more.ports ?? '[{name: http, port: 80}]'}, selector: {app: ${name}}}`, more);
export const pod = (name: string, ip: string, more: Written = {}): string => object('v1', 'Pod', name, `spec: {containers: [{name: app, image: app}]}\nstatus: {phase: Running, podIP: ${ip}, podIPs: [{ip: ${ip}}], conditions: [{type: Ready, status: "True"}]}`, { ...more, labels: more.labels ?? `{app: ${name}}` });
export const grant = (name: string, from: string, to: string, more?: Written): string => object('gateway.networking.k8s.io/v1beta1', 'ReferenceGrant', name, `spec: {from: [${from}], to: [${to}]}`, more);
export const other = (apiVersion: string, kind: string, name: string, body: string, more?: Written): string => object(apiVersion, kind, name, body, more);

/** A workload deployed for the Gateway "gw". */
export const router = { type: 'router', namespace: 'default', labels: { 'gateway.networking.k8s.io/gateway-name': 'gw' }, ip: '10.1.0.1' };

/** A sidecar of a namespace. */
export const client = (namespace: string) => ({ type: 'sidecar', namespace, labels: { app: 'client' }, ip: '10.1.0.2' });

export interface Request {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** "a", "b.other", "500", "301", "no_listener": where each request goes, or the proxy's own answer. */
export function goes(yaml: string, proxy: Record<string, unknown>, ...requests: readonly Request[]): string[] {
  return answers(yaml, proxy, ...requests).map(shortly);
}

export function answers(yaml: string, proxy: Record<string, unknown>, ...requests: readonly Request[]): readonly Answer[] {
  const mode = proxy['type'] === 'router' ? 'gateway' : 'outbound';
  return ask(yaml, proxy, ...requests.map((request) => ({ mode, port: 80, path: '/', ...request })));
}

function shortly({ outcome, status, cluster }: Answer): string {
  if (status !== undefined) return String(status);
  const host = cluster?.split('|')[3];
  if (outcome !== 'routed' || host === undefined) return cluster ?? outcome;
  return host.replace('.svc.cluster.local', '').replace(/\.default$/, '');
}
