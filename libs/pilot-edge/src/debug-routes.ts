import { keyText } from '@meltemi/config';
import { jsonResponse, type AdminResponse, type AdminRoute } from '@meltemi/observe-edge';
import { nameTable } from '@meltemi/pilot';
import { shownContent } from './shown-content.ts';
import { localDistribution, localProxyStatus, type StatusApiParts } from './status-api.ts';

/** Pilot's debug pages under Istio's paths, as JSON. */
export function debugRoutes(parts: StatusApiParts): AdminRoute[] {
  const page = (path: string, description: string, body: () => unknown): AdminRoute => ({ method: 'GET', path, description, handle: () => jsonResponse(body()) });
  return [
    page('/debug/syncz', 'which proxy has which configuration', () => localProxyStatus(parts, { proxyId: '' }).proxies),
    page('/debug/registryz', 'the services known here', () => parts.discovery.context?.services.all ?? []),
    page('/debug/configz', 'the objects in force', () => parts.cache.entries().filter((entry) => entry.config).map((entry) => shownContent(entry.raw))),
    page('/debug/quarantinez', 'objects set aside, and why', () => [
      ...parts.cache.entries().filter((entry) => entry.errors.length > 0).map((entry) => ({ object: keyText(entry.key), origin: entry.origin, errors: entry.errors, lastGoodInForce: entry.config !== undefined })),
      ...parts.discovery.setAside.map(({ key, errors, lastGoodInForce }) => ({ object: keyText(key), origin: parts.cache.get(key)?.origin, errors, lastGoodInForce })),
    ]),
    { method: 'GET', path: '/debug/config_distribution', description: 'which proxies have an object: ?resource=KIND/NAMESPACE/NAME', handle: ({ query }) => configDistribution(parts, query.get('resource') ?? '') },
    page('/debug/sourcez', 'what sources could not read', () => parts.cache.problems()),
    page('/debug/endpointz', 'endpoints by service', () => [...(parts.discovery.context?.registry.endpoints ?? [])].map(([service, ports]) => ({ service, endpoints: [...ports.values()].flat() }))),
    { method: 'GET', path: '/debug/ndsz', description: 'the name table of a proxy (?proxyID=)', handle: ({ query }) => names(parts, query.get('proxyID') ?? '') },
  ];
}

function names({ discovery }: StatusApiParts, proxyId: string): AdminResponse {
  const client = discovery.clients().find(({ proxy }) => proxy.name === proxyId || proxy.id === proxyId);
  if (!client || !discovery.context) return { status: 404, body: `proxyID: no proxy "${proxyId}" is connected: give name.namespace of one\n` };
  return jsonResponse({ table: nameTable(discovery.context, client.proxy) });
}

/** Of the objects of that kind, namespace and name, whatever their group. */
async function configDistribution(parts: StatusApiParts, resource: string): Promise<AdminResponse> {
  const [kind = '', namespace = '', name = ''] = resource.split('/');
  const keys = parts.cache.entries().flatMap(({ key }) => (key.kind === kind && key.namespace === namespace && key.name === name ? [key] : []));
  if (keys.length === 0) return { ...jsonResponse({ error: `no object ${resource}: ask with ?resource=KIND/NAMESPACE/NAME, such as VirtualService/default/reviews` }), status: 404 };
  return jsonResponse((await localDistribution(parts, { keys, maxNamed: 100 })).objects);
}
