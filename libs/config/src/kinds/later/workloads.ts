import { list, stringMap, strings } from '../../schema/containers.ts';
import { int, string } from '../../schema/scalars.ts';
import { optional, required } from '../../schema/schema.ts';
import { istioKind } from '../kind.ts';
import { matchLabelsSelector } from '../schema.ts';
import type { Struct } from '../types.ts';
import { workload } from '../workload-entry/schema.ts';
import { checkAttachment, maps } from './security.ts';
import { shape } from './shape.ts';

const count = int('int32', { min: 0 });
const port = required(int('uint32', { min: 1, max: 65535 }));

const probe = shape(
  {
    initialDelaySeconds: count,
    timeoutSeconds: count,
    periodSeconds: count,
    successThreshold: count,
    failureThreshold: count,
    httpGet: optional(shape({ path: string(), port, host: string(), scheme: string(), httpHeaders: list(shape({ name: string(), value: string() })) })),
    tcpSocket: optional(shape({ host: string(), port })),
    exec: optional(shape({ command: required(strings({ minItems: 1 })) })),
    grpc: optional(shape({ port, service: string() })),
  },
  { oneofs: [{ keys: ['httpGet', 'tcpSocket', 'exec', 'grpc'] }] },
);

export const workloadGroup = istioKind<Struct>({
  group: 'networking.istio.io',
  kind: 'WorkloadGroup',
  plural: 'workloadgroups',
  shortNames: ['wg'],
  acts: 'later',
  schema: shape({
    metadata: optional(shape({ labels: stringMap({ maxKeys: 256 }), annotations: stringMap({ maxKeys: 256 }) })),
    template: required(workload),
    probe: optional(probe),
  }),
  validate(spec, _about, findings) {
    const [http] = maps(maps([spec['probe']]).map((one) => one['httpGet']));
    for (const [i, header] of maps(http?.['httpHeaders']).entries())
      if (!/^[-A-Za-z0-9]+$/.test(String(header['name']))) findings.error(`spec.probe.httpGet.httpHeaders[${i}].name`, `"${String(header['name'])}" is not a header name`);
  },
});

/** The object; MeshConfig's message of the same name is another one. */
export const proxyConfigKind = istioKind<Struct>({
  group: 'networking.istio.io',
  kind: 'ProxyConfig',
  plural: 'proxyconfigs',
  versions: ['v1beta1'],
  acts: 'later',
  schema: shape({
    selector: optional(matchLabelsSelector),
    concurrency: optional(count),
    environmentVariables: stringMap(),
    image: optional(shape({ imageType: string() })),
  }),
  validate: (spec, _about, findings) => checkAttachment(spec, findings),
});
