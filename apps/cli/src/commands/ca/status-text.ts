import type { AuthorityCertificate, RevokeResponse, RotationHoldup, RotationStatus } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { columns } from '../../output.ts';

const phases: Readonly<Record<string, string>> = {
  '': 'no change of the root is under way', 'distributing': 'the new root is being distributed; the old one signs', 'switched': 'the new root signs; both are believed', 'retiring': 'the old root is believed no more',
};
const nexts: Readonly<Record<string, string>> = { switch: 'sign with the new root', retire: 'retire the old root', finish: 'forget the old root and its key' };
const namedHoldups = 20;

/** Of a fingerprint: enough to tell roots apart. */
export function short(fingerprint: string): string {
  return fingerprint.slice(0, 12);
}

/** How far the change of the root is, in a line. */
export function phaseLine({ phase, paused, automatic, since }: RotationStatus): string {
  const how = phase === '' ? '' : paused ? ', paused' : automatic ? ', goes on by itself' : ', step by step';
  return `${phase === '' ? '' : `${phase}${how} (since ${since}): `}${phases[phase] ?? phase}`;
}

/** Who holds the next step up, a line each. */
export function holdupLines({ holdups, holdupsTotal }: RotationStatus, limit = namedHoldups): string[] {
  const lines = holdups.slice(0, limit).map(holdupLine);
  return holdupsTotal > limit ? [...lines, `and ${holdupsTotal - limit} more`] : lines;
}

function holdupLine({ kind, name, spiffeId, address, reason, heardAt, until }: RotationHoldup): string {
  const who = [kind === 'silent' ? '' : name, spiffeId, address === '' ? '' : `at ${address}`].filter((text) => text !== '').join(' ');
  const times = [heardAt === '' ? '' : `last heard of ${heardAt}`, until === '' ? '' : `counts until ${until}`].filter((text) => text !== '').join(', ');
  return `${who} ${reason}${times === '' ? '' : ` (${times})`}`.trim();
}

/** A warning when the end of a certificate is near. */
function endLine({ role, serial, notAfter, withinDays }: AuthorityCertificate): string[] {
  if (withinDays < 0) return [];
  return [withinDays === 0 ? `ENDED: the ${role} ${serial}, at ${notAfter}` : `ENDS WITHIN ${withinDays} DAYS: the ${role} ${serial}, at ${notAfter}`];
}

/** For people: what was revoked, and what may be a mistake. */
export function revokedText({ serials, unknown, warning }: RevokeResponse, identity: string | undefined): string {
  return [
    serials.length === 0 ? 'Citadel remembers no certificate of that identity that is still alive.' : `Revoked, for good: ${shown(serials)}`,
    ...(identity === undefined ? [] : [`No certificate that was issued to ${identity} until now renews.`]),
    ...(unknown.length === 0 ? [] : [`Citadel does not remember to have issued; right all the same? ${shown(unknown)}`]),
    ...(warning === '' ? [] : [`Warning: ${warning}.`]),
  ].join('\n');
}

function shown(serials: readonly string[]): string {
  return serials.length > 10 ? `${serials.slice(0, 10).join(', ')} and ${serials.length - 10} more` : serials.join(', ');
}

/** For people: roots, the change under way, who trusts what, who lags. */
export function statusText(status: RotationStatus): string {
  const roots = columns(['ROOT', 'ROLE', 'CERTIFICATES', 'ENDS', 'SUBJECT'], status.roots.map(({ fingerprint, role, certificates, notAfter, subject }) => [short(fingerprint), role, String(certificates), notAfter, subject]));
  const followers = columns(['TRUSTS', 'CERTIFICATE OF', 'CONNECTED', 'AWAY'], status.followers.map(({ trustedRoots, certificateRoot, connected, away }) => [trustedRoots.map(short).join(' '), short(certificateRoot), String(connected), String(away)]));
  const next = status.next === '' ? [] : [`next: ${nexts[status.next] ?? status.next}${status.holdupsTotal === 0 ? '; nobody would be cut off' : `; would cut off ${status.holdupsTotal}:`}`, ...holdupLines(status).map((line) => `  ${line}`)];
  return [
    ...status.problems.map((problem) => `PROBLEM: ${problem}`), roots, '', `issuing CA ${status.issuerSerial}, until ${status.issuerNotAfter}`, ...status.certificates.flatMap(endLine), ...(status.revoked.length === 0 ? [] : [`${status.revoked.length} certificates are revoked: ${shown(status.revoked.map(({ serial }) => serial))}`]), phaseLine(status), ...next,
    ...(status.cannotRotate === '' ? [] : [`It cannot be changed with meltemi ca rotate: ${status.cannotRotate}.`]),
    '', status.followers.length === 0 ? 'Nobody follows the roots.' : followers,
  ].join('\n');
}
