import { ok, type Result } from '@meltemi/base';
import { formatSpiffeId, parseCertificates, spkiOf, verifyChain, type Certificate } from '@meltemi/identity';
import type { OpenAuthority } from '../authority.ts';
import { refuse, type CitadelError } from '../errors.ts';
import type { IssuedCertificate, IssueOrder } from '../issue.ts';
import type { UpstreamCa } from './upstream-ca.ts';

/** The clock there may be ahead by this, and round to seconds. */
const slackMs = 60_000;

/** Has a request signed elsewhere, and checks what comes back as if it were forged: what is not exactly as ordered never leaves. */
export async function issueUpstream(authority: Pick<OpenAuthority, 'trust'>, order: IssueOrder, by: { readonly upstream: UpstreamCa; readonly csr: string }): Promise<Result<IssuedCertificate, CitadelError>> {
  const answer = await by.upstream.sign({ csr: by.csr, lifetimeMs: order.lifetimeMs });
  if (!answer.ok) return refuse('signing', 'unavailable', 'the authority that signs for this citadel gives no certificate now; try again', answer.error);
  const chain = parseCertificates(answer.value.join('\n'));
  const leaf = chain.ok ? chain.value[0] : undefined;
  if (!chain.ok || !leaf) return refused(`cannot be read: ${chain.ok ? 'it is empty' : chain.error[0]?.message}`);
  const verified = verifyChain(chain.value, authority.trust, { now: order.now, use: 'any' });
  if (!verified.ok) return refused(`does not lead to a trusted root: ${verified.error[0]?.message}`);
  const wrong = formatSpiffeId(verified.value.id) === formatSpiffeId(order.id) ? differs(leaf, order) : `is for ${formatSpiffeId(verified.value.id)}`;
  return wrong === undefined ? ok({ certificate: leaf, chainPem: verified.value.path.map(({ pem }) => pem) }) : refused(wrong);
}

function refused(message: string): ReturnType<typeof refuse> {
  return refuse('signing', 'internal', 'the authority that signs for this citadel answered with another certificate than was ordered', `what it sent ${message}`);
}

/** DNS names may be fewer than ordered: another kind of authority knows nothing of ours. */
function differs(leaf: Certificate, order: IssueOrder): string | undefined {
  const extra = [...leaf.dnsNames.filter((name) => !order.dnsNames.includes(name)), ...leaf.ips.filter((ip) => !order.ips.includes(ip))];
  if (extra.length > 0) return `is for ${extra.slice(0, 3).join(', ')}, too`;
  if (!spkiOf(leaf.publicKey).equals(spkiOf(order.publicKey))) return 'is for another key';
  if (leaf.notAfter > order.now + order.lifetimeMs + slackMs) return `lives until ${new Date(leaf.notAfter).toISOString()}, longer than was asked for`;
  const uses = leaf.extendedKeyUsage;
  if (uses && !(uses.has(serverAuth) && uses.has(clientAuth))) return 'may not be used on both sides of TLS';
  if (leaf.keyUsage?.has('keyCertSign') === true || leaf.keyUsage?.has('crlSign') === true) return 'may sign certificates';
  return undefined;
}

const serverAuth = '1.3.6.1.5.5.7.3.1';
const clientAuth = '1.3.6.1.5.5.7.3.2';
