import { cases, documents, object } from '../../testing/cases.ts';
import { serviceEntryAddresses } from './addresses.ts';
import { serviceEntryProtocols } from './protocols.ts';

const entry = (name: string, spec: string, { namespace = 'default', more = '' } = {}) => object('networking.istio.io/v1', 'ServiceEntry', `{name: ${name}, namespace: ${namespace}}`, `spec: {hosts: [db.example.com], resolution: DNS, ${spec}}${more}`);
const port = (protocol: string) => `ports: [{number: 5432, name: p, protocol: ${protocol}}]`;

cases(serviceEntryAddresses, {
  'TCP without addresses': { yaml: entry('a', port('TCP')), finds: [['IST0134 ServiceEntry a.default', 4, /addresses/]] },
  'TCP in small letters': { yaml: entry('a', port('tcp')), finds: [['IST0134 ServiceEntry a.default', 4, /./]] },
  'TCP with addresses': { yaml: entry('a', `${port('TCP')}, addresses: [10.0.0.1]`), finds: [] },
  'other protocols': { yaml: entry('a', 'ports: [{number: 80, name: h, protocol: HTTP}, {number: 443, name: t, protocol: TLS}]'), finds: [] },
  'addresses that were allocated': { yaml: entry('a', port('TCP'), { more: '\nstatus: {addresses: [{value: 240.240.0.1}]}' }), finds: [] },
  'proxies that allocate them': { yaml: entry('a', port('TCP')), meshConfig: 'defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: "true", ISTIO_META_DNS_AUTO_ALLOCATE: "true"}}', finds: [] },
  'allocation alone is not enough': { yaml: entry('a', port('TCP')), meshConfig: 'defaultConfig: {proxyMetadata: {ISTIO_META_DNS_AUTO_ALLOCATE: "true"}}', finds: [['IST0134 ServiceEntry a.default', 4, /./]] },
});

cases(serviceEntryProtocols, {
  'two protocols for one port': { yaml: documents(entry('a', port('TCP')), entry('b', port('TLS'))), finds: [['IST0177 ServiceEntry a.default', 3, /default\/a, default\/b .*"db\.example\.com" and port 5432 .*TCP, TLS/], ['IST0177 ServiceEntry b.default', 8, /./]] },
  'one protocol in two spellings': { yaml: documents(entry('a', port('TCP')), entry('b', port('tcp'))), finds: [] },
  'seen by different namespaces': { yaml: documents(entry('a', `${port('TCP')}, exportTo: ["."]`), entry('b', `${port('TLS')}, exportTo: ["."]`, { namespace: 'shop' })), finds: [] },
  'one for all, one for a namespace': { yaml: documents(entry('a', port('TCP')), entry('b', `${port('TLS')}, exportTo: [shop]`)), finds: [['IST0177 ServiceEntry a.default', 3, /./], ['IST0177 ServiceEntry b.default', 8, /./]] },
});
