import { status } from '@grpc/grpc-js';
import { ItemResult_Action, type ItemResult } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { formatFieldErrors } from '@meltemi/base';
import type { ConfigKey } from '@meltemi/config';
import { ApiError } from '../api-call.ts';
import type { AuditEntry, AuditTrail } from './audit-trail.ts';
import type { CallerAccess } from './config-access.ts';

/** Who makes a change, and where it says what it is about once that is known. */
export interface ChangeBy {
  readonly access: CallerAccess;
  readonly about: (keys: readonly ConfigKey[]) => void;
}

/** Makes a change and writes into the trail what came of it, whatever that is. */
export async function audited<Response extends { readonly results: readonly ItemResult[]; readonly revision: string }>(
  trail: AuditTrail,
  { access, verb, dryRun }: { readonly access: CallerAccess; readonly verb: AuditEntry['verb']; readonly dryRun: boolean },
  change: (by: ChangeBy) => Promise<Response>,
): Promise<Response> {
  let objects: readonly ConfigKey[] = [];
  const record = (outcome: AuditEntry['outcome'], reason: string, revision = '') => trail.record({ who: access.caller.name, verb, dryRun, objects, revision, outcome, reason });
  try {
    const response = await change({ access, about: (keys) => void (objects = keys) });
    const refused = response.results.filter(({ action }) => action === ItemResult_Action.REFUSED);
    if (refused.length > 0) record('refused', saidOf(refused));
    else record(response.revision === '' ? 'unchanged' : 'written', saidOf(response.results), response.revision);
    return response;
  } catch (cause) {
    const denied = cause instanceof ApiError && cause.code === status.PERMISSION_DENIED;
    record(denied ? 'denied' : 'failed', cause instanceof Error ? cause.message : String(cause));
    throw cause;
  }
}

/** Paths of fields and what is wrong with them. Messages about a Secret, or about what is no JSON, may quote what they are about. */
function saidOf(results: readonly ItemResult[]): string {
  return results.flatMap(({ key, errors, warnings }) => {
    const said = formatFieldErrors([...errors, ...warnings]);
    if (said === '') return [];
    if (!key) return ['an object that cannot be read'];
    return [key.group === '' && key.kind === 'Secret' ? `${key.namespace}/${key.name}: what is wrong with a Secret is told to its sender alone` : `${key.namespace}/${key.name}: ${said}`];
  }).slice(0, 10).join('; ');
}
