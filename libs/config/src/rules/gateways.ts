import { item } from '../schema/schema.ts';
import type { Findings } from './findings.ts';
import { fqdnReason, isDnsLabel } from './hosts.ts';

/** Gateway references: "mesh", "name" or "namespace/name". */
export function checkGatewayNames(names: readonly string[], path: string, findings: Findings): void {
  for (const [i, name] of names.entries()) {
    const at = item(path, i);
    const slash = name.indexOf('/');
    if (slash < 0) {
      const [first = '', namespace] = name.split('.');
      if (namespace !== undefined && namespace !== '') findings.warn(at, `"${name}" is the old way to name a gateway: write "${namespace}/${first}"`);
      findings.check(at, fqdnReason(name));
      continue;
    }
    if (!isDnsLabel(name.slice(0, slash))) findings.error(at, `"${name.slice(0, slash)}" is not a namespace`);
    if (!isDnsLabel(name.slice(slash + 1))) findings.error(at, `"${name.slice(slash + 1)}" is not the name of a Gateway`);
  }
}
