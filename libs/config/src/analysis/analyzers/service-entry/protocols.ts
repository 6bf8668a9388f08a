import { serviceEntry } from '../../../kinds/service-entry/kind.ts';
import type { ServiceEntrySpec } from '../../../kinds/service-entry/types.ts';
import type { Analyzer } from '../../analyzer.ts';
import { exportScopes } from '../../hosts.ts';
import { messages } from '../../messages/messages.ts';
import { fullName, type AnalyzedObject } from '../../object.ts';

interface Use {
  readonly entry: AnalyzedObject<ServiceEntrySpec>;
  readonly host: string;
  readonly port: number;
  readonly protocol: string;
  readonly scope: string;
}

/** One host and port with two protocols, as seen from some namespace. */
export const serviceEntryProtocols: Analyzer = {
  name: 'serviceentry.ConflictingServiceEntryProtocolAnalyzer',
  description: 'ServiceEntries that give one host and port different protocols',
  analyze(mesh, report) {
    const uses = mesh.of(serviceEntry).flatMap((entry) =>
      exportScopes(entry.spec.exportTo, entry.key.namespace).flatMap((scope) =>
        entry.spec.hosts.flatMap((host) => entry.spec.ports.map(({ number, protocol }): Use => ({ entry, host, port: number, protocol: protocol.toUpperCase(), scope }))),
      ),
    );
    const byScope = Map.groupBy(uses, ({ scope, host, port }) => key(scope, host, port));
    const reported = new Set<AnalyzedObject>();
    for (const [, own] of [...byScope].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const [first] = own;
      if (!first) continue;
      const { scope, host, port } = first;
      const seen = scope === '*' ? own : [...own, ...(byScope.get(key('*', host, port)) ?? [])];
      const protocols = [...new Set(seen.map((use) => use.protocol))].sort();
      if (protocols.length < 2) continue;
      const names = [...new Set(seen.map((use) => fullName(use.entry)))].sort().join(', ');
      for (const { entry } of seen) {
        if (reported.has(entry)) continue;
        reported.add(entry);
        report(entry, messages.conflictingServiceEntryProtocol(names, host, port, protocols.join(', ')), { path: 'metadata.name' });
      }
    }
  },
};

function key(scope: string, host: string, port: number): string {
  return `${scope}\n${host}\n${port}`;
}
