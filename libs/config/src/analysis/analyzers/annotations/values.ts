import { isIP } from 'node:net';
import { parse } from 'yaml';
import { meshConfig } from '../../../kinds/mesh-config/kind.ts';
import { isMap } from '../../../schema/containers.ts';
import type { FieldError } from '@meltemi/base';

/** Why the value of an annotation is not valid, or undefined. */
export function annotationReason(name: string, value: string): string | undefined {
  return rules.get(name)?.(value);
}

type Rule = (value: string) => string | undefined;

const port: Rule = (value) => (/^\s*\d+\s*$/.test(value) && Number(value) <= 65535 ? undefined : `"${value}" is not a port`);
const ports: Rule = (value) => (value.trim() === '' ? undefined : value.trim().split(',').map(port).find((reason) => reason !== undefined));
const portsOrAll: Rule = (value) => (value === '*' ? undefined : ports(value));
const count: Rule = (value) => (/^\d+$/.test(value) && Number(value) <= 4294967295 ? undefined : `"${value}" is not a whole number`);
const flag: Rule = (value) => (/^(1|0|t|f|T|F|true|false|TRUE|FALSE|True|False)$/.test(value) ? undefined : `"${value}" is neither true nor false`);
const mode: Rule = (value) => (['REDIRECT', 'TPROXY', 'NONE'].includes(value) ? undefined : `"${value}" is none of REDIRECT, TPROXY, NONE`);
const quantity: Rule = (value) => (/^[+-]?(\d+\.?\d*|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/.test(value) ? undefined : `"${value}" is not a quantity like 100m or 128Mi`);
const interfaces: Rule = (value) => (value === '' || value.split(',').every((one) => /^[^\s/]{1,15}$/.test(one.trim())) ? undefined : `"${value}" is not a list of network interfaces`);

const ranges: Rule = (value) => (value === '' ? undefined : value.split(',').map(range).find((reason) => reason !== undefined));
const rangesOrAll: Rule = (value) => (value === '*' ? undefined : ranges(value));

function range(value: string): string | undefined {
  const [address = '', bits = '', ...more] = value.split('/');
  const family = isIP(address);
  return family > 0 && /^\d+$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128) && more.length === 0 ? undefined : `"${value}" is not a CIDR block`;
}

/** A ProxyConfig in YAML, read as MeshConfig's defaultConfig is. */
function proxyConfig(value: string): string | undefined {
  const errors: FieldError[] = [];
  try {
    const input: unknown = parse(value, { maxAliasCount: 100, logLevel: 'error' });
    if (input !== null && !isMap(input)) return 'it must be a map of ProxyConfig\'s fields';
    meshConfig.schema.decode({ defaultConfig: input }, '', errors);
  } catch (error) {
    return `it is not YAML: ${error instanceof Error ? error.message : String(error)}`;
  }
  const [first] = errors;
  return first && `${first.path.replace(/^defaultConfig\.?/, '')}: ${first.message}`;
}

const rules: ReadonlyMap<string, Rule> = new Map([
  ['sidecar.istio.io/interceptionMode', mode],
  ['status.sidecar.istio.io/port', port],
  ['readiness.status.sidecar.istio.io/initialDelaySeconds', count],
  ['readiness.status.sidecar.istio.io/periodSeconds', count],
  ['readiness.status.sidecar.istio.io/failureThreshold', count],
  ['traffic.sidecar.istio.io/includeOutboundIPRanges', rangesOrAll],
  ['traffic.sidecar.istio.io/excludeOutboundIPRanges', ranges],
  ['traffic.sidecar.istio.io/includeInboundPorts', portsOrAll],
  ['traffic.sidecar.istio.io/excludeInboundPorts', ports],
  ['traffic.sidecar.istio.io/excludeOutboundPorts', ports],
  ['traffic.sidecar.istio.io/excludeInterfaces', interfaces],
  ['traffic.sidecar.istio.io/kubevirtInterfaces', interfaces],
  ['istio.io/reroute-virtual-interfaces', interfaces],
  ['prometheus.istio.io/merge-metrics', flag],
  ['proxy.istio.io/config', proxyConfig],
  ['sidecar.istio.io/proxyCPU', quantity],
  ['sidecar.istio.io/proxyMemory', quantity],
  ['sidecar.istio.io/proxyCPULimit', quantity],
  ['sidecar.istio.io/proxyMemoryLimit', quantity],
]);
