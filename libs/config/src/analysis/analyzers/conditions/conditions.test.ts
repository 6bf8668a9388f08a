import { cases, object } from '../../testing/cases.ts';
import { conditions } from './conditions.ts';

const condition = (type: string, status: string, reason = 'Because') => `{conditions: [{type: ${type}, status: "${status}", reason: ${reason}, message: it is so}]}`;
const service = (status: string) => object('v1', 'Service', '{name: a}', `status: ${status}`);
const policy = (status: string) => object('security.istio.io/v1', 'AuthorizationPolicy', '{name: a}', `status: ${status}`);
const route = (kind: string, status: string) => object('gateway.networking.k8s.io/v1', kind, '{name: a}', `status: {parents: [${status}]}`);

cases(conditions, {
  'a service whose waypoint does not take it': { yaml: service(condition('istio.io/WaypointBound', 'False')), finds: [['IST0171 Service a.default', 4, /type=istio\.io\/WaypointBound, reason=Because, message=it is so/]] },
  'a service whose waypoint does': { yaml: service(condition('istio.io/WaypointBound', 'True')), finds: [] },
  'conditions nobody watches': { yaml: service(condition('Ready', 'False')), finds: [] },
  'a policy a waypoint refuses': { yaml: policy(condition('WaypointAccepted', 'False')), finds: [['IST0171 AuthorizationPolicy a.default', 4, /WaypointAccepted/]] },
  'a policy a waypoint takes in part': { yaml: policy(condition('WaypointAccepted', 'True', 'PartiallyInvalid')), finds: [['IST0171 AuthorizationPolicy a.default', 4, /PartiallyInvalid/]] },
  'a gateway nobody programs': { yaml: object('gateway.networking.k8s.io/v1', 'Gateway', '{name: a}', `status: ${condition('Programmed', 'False')}`), finds: [['IST0171 Gateway a.default', 4, /Programmed/]] },
  'Istio\'s own Gateway has no conditions': { yaml: object('networking.istio.io/v1', 'Gateway', '{name: a}', `status: ${condition('Programmed', 'False')}`), finds: [] },
  'a route one of its parents refuses': { yaml: route('HTTPRoute', `${condition('Accepted', 'True')}, ${condition('ResolvedRefs', 'False')}`), finds: [['IST0171 HTTPRoute a.default', 4, /ResolvedRefs/]] },
  'a route all take': { yaml: route('GRPCRoute', condition('Accepted', 'True')), finds: [] },
});
