import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { Cluster as ClusterMessage } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import { Listener as ListenerMessage } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { formatFieldErrors, type Result } from '@meltemi/base';
import { FlatStats, StatsRegistry } from '@meltemi/observe';
import { filterExtensions, unknownNode } from '@meltemi/proxy';
import type { RouteTable } from '@meltemi/route';
import { compileCluster, compileListener, compileLoadAssignment, compileRouteConfiguration, type Cluster, type Compiled, type Listener, type LoadAssignment } from '@meltemi/snapshot';
import type { WorkerServerOptions } from './options.ts';
import { createWorkerServer, type WorkerServer } from './worker-server.ts';

/** Envoy resources as proto3 JSON, compiled as the proxy compiles what pilot sends. */

type Json = Record<string, unknown>;

function value<T>(result: Result<Compiled<T>>): T {
  if (!result.ok) throw new Error(formatFieldErrors(result.error));
  return result.value.value;
}

export function must<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(formatFieldErrors(result.error));
  return result.value;
}

export const listenerOf = (json: Json): Listener => value(compileListener(ListenerMessage.decode(jsonToBinary('envoy.config.listener.v3.Listener', json)), filterExtensions()));
export const clusterOf = (json: Json): Cluster => value(compileCluster(ClusterMessage.decode(jsonToBinary('envoy.config.cluster.v3.Cluster', json)), filterExtensions()));
export const routesOf = (json: Json): RouteTable => value(compileRouteConfiguration(RouteConfiguration.decode(jsonToBinary('envoy.config.route.v3.RouteConfiguration', json)), filterExtensions()));
export const assignmentOf = (json: Json): LoadAssignment => value(compileLoadAssignment(ClusterLoadAssignment.decode(jsonToBinary('envoy.config.endpoint.v3.ClusterLoadAssignment', json))));

const type = (name: string) => `type.googleapis.com/${name}`;
export const address = (port: number, host = '127.0.0.1') => ({ socketAddress: { address: host, portValue: port } });
export const endpoints = (name: string, ...ports: number[]): Json => ({ clusterName: name, endpoints: [{ lbEndpoints: ports.map((port) => ({ endpoint: { address: address(port) } })) }] });
export const staticCluster = (name: string, ports: number[], more: Json = {}): Cluster => clusterOf({ name, type: 'STATIC', connectTimeout: '1s', loadAssignment: endpoints(name, ...ports), ...more });

export const router = { name: 'envoy.filters.http.router', typedConfig: { '@type': type('envoy.extensions.filters.http.router.v3.Router') } };

export interface HttpListenerOptions {
  readonly routes?: Json[];
  readonly filters?: Json[];
  readonly hcm?: Json;
  readonly rds?: string;
  readonly port?: number;
  readonly name?: string;
}

/** One listener on loopback with an HTTP connection manager. */
export function httpListener({ routes = [], filters = [], hcm = {}, rds, port = 0, name = 'main' }: HttpListenerOptions): Listener {
  const table = rds === undefined ? { routeConfig: { name: 'inline', virtualHosts: [{ name: 'all', domains: ['*'], routes }] } } : { rds: { routeConfigName: rds, configSource: { ads: {} } } };
  return listenerOf({
    name,
    address: address(port),
    filterChains: [{ filters: [{ name: 'hcm', typedConfig: { '@type': type('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'), statPrefix: 'test', ...table, httpFilters: [...filters, router], ...hcm } }] }],
  });
}

export function tcpListener(clusters: Json, name = 'tcp'): Listener {
  return listenerOf({ name, address: address(0), filterChains: [{ filters: [{ name: 'tcp', typedConfig: { '@type': type('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy'), statPrefix: 'tcp', ...clusters } }] }] });
}

export const routeTo = (cluster: string, more: Json = {}, match: Json = { prefix: '/' }): Json => ({ match, route: { cluster, timeout: '0s', ...more } });

const quiet = { info: () => {}, warn: () => {}, error: (fields: object, message: string) => console.error(message, fields) };

/** A worker server that stops with the test. */
export function workerServer(t: TestContext, options: Partial<WorkerServerOptions> = {}): WorkerServer {
  const server = createWorkerServer({ node: unknownNode, stats: new FlatStats(), metrics: new StatsRegistry(), log: quiet, ...options });
  t.after(() => server.stop());
  return server;
}

export function portOf(server: WorkerServer, name = 'main'): number {
  const bound = server.listeners().find((listener) => listener.name === name)?.bound[0];
  if (bound?.kind !== 'ip') throw new Error(`listener ${name} is not bound`);
  return bound.port;
}

/** A node:http server as the application; returns its port. */
export async function application(t: TestContext, handler: http.RequestListener): Promise<number> {
  const server = http.createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** One request with node's own client. */
export function ask(port: number, options: http.RequestOptions & { body?: string | Buffer } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { body, ...rest } = options;
    const request = http.request({ host: '127.0.0.1', port, path: '/', agent: false, ...rest }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts).toString('latin1') }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}
