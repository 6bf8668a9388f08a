import { statSync } from 'node:fs';
import { formatFieldErrors, withDeadline, type FieldError, type Lifecycle, type Result } from '@meltemi/base';
import { keyText, problemText, type RawObject } from '@meltemi/config';
import { directorySource } from '@meltemi/config-edge';
import { StartError, type Logger } from '@meltemi/observe-edge';
import { AccessPolicy, auditTrail, rbacGroup, readRbacObjects, type AuditEntry, type AuditTrail } from '@meltemi/pilot-edge';
import type { PilotOptions } from './options.ts';

/** How long a start waits for the roles to be read. */
const readMs = 30_000;

/**
 * Who may do what with the config API, as the files of --config-rbac say and go on saying. They are never the store's: whoever may write there
 * could give themselves more. What is wrong in them ends a start; later it leaves the last good rules in force.
 */
export async function readAccess(values: Pick<PilotOptions, 'config-rbac' | 'config-allow'>, { log, lifecycle }: { readonly log: Logger; readonly lifecycle: Lifecycle }): Promise<() => AccessPolicy> {
  const admins = values['config-allow'];
  const paths = values['config-rbac'];
  for (const path of paths) if (!statSync(path, { throwIfNoEntry: false })) throw new StartError(`--config-rbac ${path}: there is no such file or directory`, { exitCode: 2 });
  const files = paths.map(() => new RoleFiles());
  const made = () => policyOf(files, admins);
  const ended = new AbortController();
  lifecycle.add('access rules', () => ended.abort());
  let policy: AccessPolicy | undefined;
  const update = (): void => {
    const next = made();
    if (!next.ok) log.error({ reason: formatFieldErrors(next.error) }, 'the access rules are wrong; the last good ones stay in force');
    else {
      policy = next.value;
      log.info({ audit: true, roles: files.reduce((sum, { size }) => sum + size, 0) }, 'access rules changed');
    }
  };
  await withDeadline(Promise.all(paths.map((path, at) => follow(path, files[at] ?? new RoleFiles(), { signal: ended.signal, onChange: () => policy && update() }))), readMs, 'reading --config-rbac');
  const first = made();
  if (!first.ok) throw new StartError(`--config-rbac: ${formatFieldErrors(first.error)}`, { exitCode: 2 });
  policy = first.value;
  const inForce = first.value;
  return () => policy ?? inForce;
}

/** Reads, and goes on reading; resolves when all was read once. */
function follow(path: string, files: RoleFiles, { signal, onChange }: { readonly signal: AbortSignal; readonly onChange: () => void }): Promise<void> {
  return new Promise((resolve, reject) => {
    const run = async (): Promise<void> => {
      let soon: NodeJS.Immediate | undefined;
      for await (const event of directorySource({ directory: path }).watch(signal)) {
        if (event.type === 'synced') resolve();
        else if (event.type === 'put') files.objects.set(keyText(event.object.key), event.object);
        else if (event.type === 'delete') files.objects.delete(keyText(event.key));
        else if (event.type === 'problem') files.problems.add(problemText(event.problem));
        else files.problems.delete(problemText(event.problem));
        // The changes of one scan are one change.
        clearImmediate(soon);
        soon = setImmediate(onChange);
      }
    };
    run().catch(reject);
  });
}

/** What is in one --config-rbac. */
class RoleFiles {
  readonly objects = new Map<string, RawObject>();
  readonly problems = new Set<string>();

  get size(): number {
    return this.objects.size;
  }
}

function policyOf(files: readonly RoleFiles[], admins: readonly string[]): Result<AccessPolicy> {
  const problems: FieldError[] = files.flatMap((each) => [...each.problems].map((message) => ({ path: '', message })));
  if (problems.length > 0) return { ok: false, error: problems };
  const objects = files.flatMap((each) => [...each.objects.values()]);
  const stranger = objects.find(({ key }) => key.group !== rbacGroup && key.kind !== 'Namespace' && key.kind !== 'ServiceAccount');
  if (stranger) return { ok: false, error: [{ path: keyText(stranger.key), message: `is no role or binding of ${rbacGroup}/v1: keep the mesh's configuration elsewhere` }] };
  const read = readRbacObjects(objects);
  return read.ok ? AccessPolicy.of(read.value, admins) : read;
}

/** The audit trail: in the log, and in the file that --audit-log names. */
export function openAudit(values: Pick<PilotOptions, 'audit-log'>, log: Logger, onEntry: (entry: AuditEntry) => void): AuditTrail {
  const file = values['audit-log'];
  try {
    return auditTrail({ log, file, onEntry });
  } catch (cause) {
    throw new StartError(`--audit-log ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { exitCode: 2, cause });
  }
}
