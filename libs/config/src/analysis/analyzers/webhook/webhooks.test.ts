import { cases, documents, object } from '../../testing/cases.ts';
import { webhooks } from './webhooks.ts';

const service = object('v1', 'Service', '{name: istiod, namespace: istio-system}', 'spec: {ports: [{name: https, port: 443}]}');
const webhook = (name: string, selector: string, config = '{service: {name: istiod, namespace: istio-system}}') =>
  object('admissionregistration.k8s.io/v1', 'MutatingWebhookConfiguration', `{name: ${name}}`, `webhooks: [{name: w.istio.io, namespaceSelector: ${selector}, clientConfig: ${config}}]`);
const enabled = '{matchLabels: {istio-injection: enabled}}';

cases(webhooks, {
  'two that inject the same namespaces': { yaml: documents(service, webhook('a', enabled), webhook('b', enabled)), finds: [['IST0139 MutatingWebhookConfiguration a', 9, /overlaps with b\/w\.istio\.io/], ['IST0139 MutatingWebhookConfiguration b', 14, /overlaps with a\/w\.istio\.io/]] },
  'revisions apart': { yaml: documents(service, webhook('a', '{matchLabels: {istio.io/rev: one}}'), webhook('b', '{matchExpressions: [{key: istio.io/rev, operator: In, values: [two]}]}')), finds: [] },
  'a revision that two inject': { yaml: documents(service, webhook('a', '{matchLabels: {istio.io/rev: one}}'), webhook('b', '{matchExpressions: [{key: istio.io/rev, operator: In, values: [one, two]}]}')), finds: [['IST0139 MutatingWebhookConfiguration a', 9, /./], ['IST0139 MutatingWebhookConfiguration b', 14, /./]] },
  'a service that does not exist': { yaml: documents(service, webhook('a', enabled, '{service: {name: istiod, namespace: other}}')), finds: [['IST0139 MutatingWebhookConfiguration a', 9, /other\/istiod does not exist/]] },
  'a URL': { yaml: webhook('a', enabled, '{url: "https://istiod.example.com"}'), finds: [] },
  'webhooks of others': { yaml: documents(webhook('a', enabled).replace('w.istio.io', 'w.example.com'), webhook('b', enabled).replace('w.istio.io', 'w.example.com')), finds: [] },
});
