import { serviceEntry } from '../../../kinds/service-entry/kind.ts';
import type { Analyzer } from '../../analyzer.ts';
import { mapAt } from '../../json.ts';
import { messages } from '../../messages/messages.ts';

/** TCP ports that share the wildcard address. */
export const serviceEntryAddresses: Analyzer = {
  name: 'serviceentry.Analyzer',
  description: 'ServiceEntries with TCP ports and no addresses',
  analyze(mesh, report) {
    const { proxyMetadata } = mesh.meshConfig.defaultConfig;
    const allocates = proxyMetadata['ISTIO_META_DNS_CAPTURE'] === 'true' && (proxyMetadata['ISTIO_META_DNS_AUTO_ALLOCATE'] === 'true' || proxyMetadata['PILOT_ENABLE_IP_AUTOALLOCATE'] === 'true');
    if (allocates) return;
    for (const entry of mesh.of(serviceEntry)) {
      const allocated = mapAt(entry.content, 'status')['addresses'];
      if (entry.spec.addresses.length > 0 || (Array.isArray(allocated) && allocated.length > 0)) continue;
      for (const [i, { protocol }] of entry.spec.ports.entries()) if (protocol === '' || protocol.toUpperCase() === 'TCP') report(entry, messages.addressesRequired(), { path: `spec.ports[${i}].name` });
    }
  },
};
