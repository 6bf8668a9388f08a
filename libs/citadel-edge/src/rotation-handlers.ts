import { status, type sendUnaryData, type StatusObject } from '@grpc/grpc-js';
import type { FollowerGroup, RootRotationServer, RootStatus, RotationHoldup, RotationStatus } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { withDeadline } from '@meltemi/base';
import { authorityExpiries, rotationActions, type CertificateService, type Holdup, type OpenAuthority, type ProxyReport, type Roster, type Rotation, type RotationProgress } from '@meltemi/citadel';
import { fingerprintOf, type Certificate } from '@meltemi/identity';
import type { CitadelLog } from './certificate-handlers.ts';

export interface RotationParts {
  readonly service: CertificateService;
  readonly roster: Roster;
  /** Undefined: the root is not citadel's to change. */
  readonly rotation: Rotation | undefined;
  /** Puts in force what an action has changed. */
  readonly refresh: () => Promise<void>;
  /** What is wrong with the settings now. */
  readonly problems: () => readonly string[];
  readonly log: CitadelLog;
}

const callDeadlineMs = 20_000;
const maxHoldups = 1000;
const maxWithout = 100;
const notOurs = 'another authority signs for this citadel: change the root there';

/** For the Unix socket only. */
export function rotationHandlers(parts: RotationParts): RootRotationServer {
  return {
    status: (_call, done) => answer(parts, done, () => statusOf(parts)),
    act: (call, done) =>
      answer(parts, done, async () => {
        const { rotation, log, refresh } = parts;
        const action = rotationActions.find((name) => name === call.request.action);
        const { automatic, without } = call.request;
        if (!action || without.length > maxWithout) return { code: status.INVALID_ARGUMENT, details: `action: must be one of ${rotationActions.join(', ')}; without: at most ${maxWithout}` };
        if (!rotation) return { code: status.FAILED_PRECONDITION, details: notOurs };
        const made = await rotation.act({ action, automatic, without });
        log.info({ audit: true, action, automatic, ...(without.length > 0 && { without }), ...(made.ok ? { move: made.value } : { refused: made.error.message }) }, made.ok ? 'root rotation: done as asked' : 'root rotation: refused');
        if (!made.ok) return { code: status.FAILED_PRECONDITION, details: made.error.message };
        await refresh();
        return statusOf(parts);
      }),
  };
}

async function statusOf({ service, rotation, roster, problems }: RotationParts): Promise<RotationStatus> {
  const progress = rotation ? await rotation.progress() : undefined;
  const facts = progress?.facts ?? (await roster.facts());
  const authority = service.authority();
  const [issuing] = authority.issuer;
  const holdups = progress?.holdups ?? [];
  return {
    phase: progress?.phase ?? '', paused: progress?.paused ?? false, automatic: progress?.automatic ?? false,
    startedAt: timeOf(authority.rotation?.startedAt), since: timeOf(authority.rotation?.since),
    roots: rootsOf(authority, progress, facts.proxies), issuerSerial: issuing.serial, issuerNotAfter: timeOf(issuing.notAfter), next: progress?.next ?? '',
    holdups: holdups.slice(0, maxHoldups).map(holdupOf), holdupsTotal: holdups.length, followers: groupsOf(facts.proxies), cannotRotate: rotation ? rotation.cannotStart : notOurs,
    certificates: authorityExpiries(authority, Date.now()).map(({ role, serial, notAfter, withinDays = -1 }) => ({ role, serial, notAfter: timeOf(notAfter), withinDays })),
    problems: [...problems()],
    revoked: service.revoked().certificates.map(({ serial, spiffeId = '', revokedAt, notAfter }) => ({ serial, spiffeId, revokedAt: timeOf(revokedAt), notAfter: timeOf(notAfter) })),
  };
}

function rootsOf(authority: OpenAuthority, progress: RotationProgress | undefined, proxies: readonly ProxyReport[]): RootStatus[] {
  const other = authority.rotation?.other;
  const roots = new Map<string, Certificate>([authority.root, ...(other ? [other] : []), ...authority.trust.roots].map((root) => [fingerprintOf(root), root]));
  return [...roots].map(([fingerprint, root]) => ({
    fingerprint, subject: root.x509.subject.replaceAll('\n', ', '), notAfter: timeOf(root.notAfter), certificates: proxies.filter(({ certificateRoot }) => certificateRoot === fingerprint).length,
    role: root.pem === authority.root.pem ? 'signing' : root.pem !== other?.pem ? 'trusted' : progress?.phase === 'distributing' ? 'next' : 'previous',
  }));
}

function groupsOf(proxies: readonly ProxyReport[]): FollowerGroup[] {
  const groups = new Map<string, FollowerGroup>();
  for (const { trustedRoots, certificateRoot, connected } of proxies) {
    const key = `${certificateRoot} ${trustedRoots.join()}`;
    const group = groups.get(key) ?? { trustedRoots: [...trustedRoots], certificateRoot, connected: 0, away: 0 };
    groups.set(key, { ...group, connected: group.connected + (connected ? 1 : 0), away: group.away + (connected ? 0 : 1) });
  }
  return [...groups.values()];
}

function holdupOf({ kind, spiffeId, name, address, connected, heardAt, until, reason }: Holdup): RotationHoldup {
  return { kind, spiffeId, name, address, connected, reason, heardAt: timeOf(heardAt), until: timeOf(until) };
}

function timeOf(ms: number | undefined): string {
  return ms === undefined || ms === 0 ? '' : new Date(ms).toISOString();
}

function answer(parts: RotationParts, done: sendUnaryData<RotationStatus>, work: () => Promise<RotationStatus | Partial<StatusObject>>): void {
  const finish = async (): Promise<void> => {
    try {
      const outcome = await withDeadline(work(), callDeadlineMs, 'answering');
      if ('phase' in outcome) done(null, outcome);
      else done(outcome);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      parts.log.error({ reason }, 'root rotation: the keystore could not be reached');
      done({ code: status.UNAVAILABLE, details: `the keystore could not be reached: ${reason}. Whether the action was done, status says` });
    }
  };
  void finish();
}
