import { cases, object } from '../../testing/cases.ts';
import { externalControlPlane } from './external-control-plane.ts';

const webhook = (kind: string, name: string, config: string) => object('admissionregistration.k8s.io/v1', kind, `{name: ${name}}`, `webhooks: [{name: hook, clientConfig: ${config}}]`);
const mutating = (config: string) => webhook('MutatingWebhookConfiguration', 'istio-sidecar-injector', config);

cases(externalControlPlane, {
  'a host name': { yaml: mutating("{url: 'https://istiod.example.com:15017/inject'}"), finds: [] },
  'an IP address': { yaml: mutating("{url: 'https://10.0.0.1:15017/inject'}"), finds: [['IST0164 MutatingWebhookConfiguration istio-sidecar-injector', 4, /IP address/]] },
  'an IPv6 address': { yaml: mutating("{url: 'https://[fd00::1]:15017/inject'}"), finds: [['IST0164 MutatingWebhookConfiguration istio-sidecar-injector', 4, /IP address/]] },
  'no URL': { yaml: mutating("{url: 'istiod one'}"), finds: [['IST0163 MutatingWebhookConfiguration istio-sidecar-injector', 4, /"istiod one".*is not a URL/]] },
  'nothing at all': { yaml: webhook('ValidatingWebhookConfiguration', 'istio-validator-istio-system', '{}'), finds: [['IST0163 ValidatingWebhookConfiguration istio-validator-istio-system', 4, /webhook hook .*is missing/]] },
  'the default validator': { yaml: webhook('ValidatingWebhookConfiguration', 'istiod-default-validator', '{}'), finds: [['IST0163 ValidatingWebhookConfiguration istiod-default-validator', 4, /missing/]] },
  'a service of the cluster': { yaml: mutating('{service: {name: istiod, namespace: istio-system}}'), finds: [] },
  'a webhook of others': { yaml: webhook('MutatingWebhookConfiguration', 'other', '{}'), finds: [] },
});
