import type { Analyzer } from '../../analyzer.ts';
import { mapAt, maps, text } from '../../json.ts';
import { messages } from '../../messages/messages.ts';
import type { AnalyzedObject } from '../../object.ts';

const waypointBound = ['istio.io/WaypointBound'];
const gatewayApi = ['Accepted', 'Programmed', 'ResolvedRefs'];

/** The conditions that are bad news when "False", by kind. */
const watched: readonly (readonly [group: string, kind: string, conditions: readonly string[]])[] = [
  ['', 'Service', waypointBound],
  ['networking.istio.io', 'ServiceEntry', waypointBound],
  ['networking.istio.io', 'WorkloadEntry', waypointBound],
  ['security.istio.io', 'AuthorizationPolicy', ['ZtunnelAccepted', 'WaypointAccepted']],
  ['gateway.networking.k8s.io', 'Gateway', gatewayApi],
  ['gateway.networking.k8s.io', 'HTTPRoute', gatewayApi],
  ['gateway.networking.k8s.io', 'GRPCRoute', gatewayApi],
];

/** Objects whose status says that something is wrong. */
export const conditions: Analyzer = {
  name: 'conditions.ConditionAnalyzer',
  description: 'Objects whose status has a negative condition',
  analyze(mesh, report) {
    for (const [group, kind, bad] of watched)
      for (const object of mesh.ofKind(group, kind))
        for (const { type, status, reason, message } of conditionsOf(object)) {
          // A waypoint that took a part of a policy says "True".
          const isPartial = kind === 'AuthorizationPolicy' && type === 'WaypointAccepted' && reason === 'PartiallyInvalid';
          if (isPartial || (bad.includes(type) && status === 'False')) report(object, messages.negativeCondition(type, reason, message), { path: 'status' });
        }
  },
};

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

function conditionsOf({ content }: AnalyzedObject): readonly Condition[] {
  const status = mapAt(content, 'status');
  const written = [...maps(status['conditions']), ...maps(status['parents']).flatMap((parent) => maps(parent['conditions']))];
  return written.map((one) => ({ type: text(one['type']), status: text(one['status']), reason: text(one['reason']), message: text(one['message']) }));
}
