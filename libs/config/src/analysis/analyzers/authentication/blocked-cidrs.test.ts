import { cases, documents, object } from '../../testing/cases.ts';
import { blockedCidrs } from './blocked-cidrs.ts';

const istiod = (env: string) => object('apps/v1', 'Deployment', '{name: istiod, namespace: istio-system, labels: {app: istiod}}', `spec: {selector: {}, template: {spec: {containers: [{name: discovery, env: [${env}]}]}}}`);
const policy = (name: string) => object('security.istio.io/v1', 'RequestAuthentication', `{name: ${name}}`, 'spec: {jwtRules: [{issuer: a}]}');

cases(blockedCidrs, {
  'keys may be fetched from anywhere': { yaml: documents(istiod('{name: A, value: b}'), policy('jwt')), finds: [['IST0175 Deployment istiod.istio-system', 1, /1 RequestAuthentication\(s\) exist \(default\/jwt\)/]] },
  'five policies are named, the others counted': { yaml: documents(istiod(''), ...['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(policy)), finds: [['IST0175 Deployment istiod.istio-system', 1, /default\/e, and 2 more/]] },
  'the networks are blocked': { yaml: documents(istiod("{name: BLOCKED_CIDRS_IN_JWKS_URIS, value: '10.0.0.0/8'}"), policy('jwt')), finds: [] },
  'an empty value blocks nothing': { yaml: documents(istiod("{name: BLOCKED_CIDRS_IN_JWKS_URIS, value: ''}"), policy('jwt')), finds: [['IST0175 Deployment istiod.istio-system', 1, /not set/]] },
  'nobody fetches keys': { yaml: istiod(''), finds: [] },
});
