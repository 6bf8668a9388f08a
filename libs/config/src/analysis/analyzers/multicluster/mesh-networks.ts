import { child } from '../../../schema/schema.ts';
import type { Analyzer } from '../../analyzer.ts';
import { mapAt, maps, text } from '../../json.ts';
import { messages } from '../../messages/messages.ts';

const builtinRegistries = ['Mock', 'Kubernetes', 'External'];

/** MeshNetworks that name a registry nobody has. */
export const meshNetworks: Analyzer = {
  name: 'meshnetworks.MeshNetworksAnalyzer',
  description: 'MeshNetworks that name a service registry that does not exist',
  analyze(mesh, report) {
    const networks = mesh.meshNetworks;
    if (!networks) return;
    // The Secret of a remote cluster has a key with the cluster's name.
    const remote = mesh.ofKind('', 'Secret').filter(({ meta }) => meta.labels['istio/multiCluster'] === 'true').flatMap(({ content }) => [...Object.keys(mapAt(content, 'data')), ...Object.keys(mapAt(content, 'stringData'))]);
    const known = new Set([...builtinRegistries, ...remote]);
    for (const [name, network] of Object.entries(mapAt(networks.content, 'networks')))
      for (const [i, endpoint] of maps(mapAt(network)['endpoints']).entries()) {
        const registry = text(endpoint['fromRegistry']);
        if (registry !== '' && !known.has(registry)) report(networks, messages.unknownRegistry(registry, name), { path: `${child('networks', name)}.endpoints[${i}]` });
      }
  },
};
