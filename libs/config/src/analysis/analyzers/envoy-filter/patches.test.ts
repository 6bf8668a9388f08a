import { cases, documents, object } from '../../testing/cases.ts';
import { envoyPatches } from './patches.ts';

const filter = (patches: string, { name = 'f', priority = 0 } = {}) => object('networking.istio.io/v1alpha3', 'EnvoyFilter', `{name: ${name}}`, `spec: {priority: ${priority}, configPatches: [${patches}]}`);
const patch = (applyTo: string, operation: string, more = '') => `{applyTo: ${applyTo}, patch: {operation: ${operation}, value: {name: mine}}${more}}`;

cases(envoyPatches, {
  'a relative patch without priority': { yaml: filter(patch('HTTP_FILTER', 'INSERT_BEFORE')), finds: [['IST0151 EnvoyFilter f.default', 4, /priority/]] },
  'a relative patch with priority': { yaml: filter(patch('HTTP_FILTER', 'INSERT_AFTER'), { priority: -5 }), finds: [] },
  'an absolute patch': { yaml: filter(`${patch('HTTP_FILTER', 'INSERT_FIRST')}, ${patch('CLUSTER', 'ADD')}, ${patch('CLUSTER', 'MERGE')}`), finds: [] },
  'several relative patches are said once': { yaml: filter(`${patch('HTTP_FILTER', 'INSERT_BEFORE')}, ${patch('NETWORK_FILTER', 'REMOVE')}`), finds: [['IST0151 EnvoyFilter f.default', 4, /./]] },
  'a patch relative to one bound to a version': {
    yaml: documents(filter(patch('HTTP_FILTER', 'ADD', ", match: {proxy: {proxyVersion: '1.2'}}"), { name: 'e' }), filter(patch('HTTP_FILTER', 'REPLACE'))),
    finds: [['IST0155 EnvoyFilter f.default', 9, /upgrade/]],
  },
  'REPLACE of a cluster': { yaml: filter(patch('CLUSTER', 'REPLACE'), { priority: 1 }), finds: [['IST0152 EnvoyFilter f.default', 4, /HTTP_FILTER, NETWORK_FILTER or VIRTUAL_HOST/]] },
  'REPLACE of a virtual host': { yaml: filter(patch('VIRTUAL_HOST', 'REPLACE'), { priority: 1 }), finds: [] },
  'ADD of a route': { yaml: filter(patch('HTTP_ROUTE', 'ADD')), finds: [['IST0153 EnvoyFilter f.default', 4, /ADD/]] },
  'REMOVE of a route configuration': { yaml: filter(patch('ROUTE_CONFIGURATION', 'REMOVE')), finds: [['IST0154 EnvoyFilter f.default', 4, /REMOVE/]] },
});
