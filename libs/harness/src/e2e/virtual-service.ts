/** A VirtualService with one HTTP route, as YAML (JSON is YAML). The route goes to `host` when `http` names none. */
export function virtualService(name: string, host: string, http: Readonly<Record<string, unknown>>, gateways?: readonly string[]): string {
  return JSON.stringify({
    apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name },
    spec: { hosts: [host], ...(gateways ? { gateways } : {}), http: [{ route: [{ destination: { host } }], ...http }] },
  });
}
