import { originText, type Answer, type Call, type Step } from '@meltemi/explain';

/** An answer for people: what was asked, what was looked at in order, and what comes of it. */
export function answerText(answer: Answer, call: Call | undefined): string {
  const asked = call === undefined ? [] : [`${call.mode} ${call.protocol === 'tcp' ? 'tcp' : call.method || 'GET'} ${call.host || call.address}${call.path}`];
  return [...asked, ...answer.steps.map(stepText), ...conclusion(answer)].join('\n');
}

/** One thing that was looked at, in a line. */
export function stepText({ at, name, matched, detail, origin }: Step): string {
  return `  ${matched ? '✔' : '·'} ${at.replaceAll('_', ' ')}${name === '' ? '' : ` ${name}`}: ${detail}${origin ? ` — ${originText(origin)}` : ''}`;
}

function conclusion(answer: Answer): string[] {
  const lines = [`→ ${answer.outcome.replaceAll('_', ' ')}${answer.status === undefined ? '' : ` ${answer.status}`}${answer.details === undefined ? '' : ` (${answer.details})`}`];
  if (answer.policy !== undefined) lines.push(`  policy     ${answer.policy} ${answer.rule ?? ''}`.trimEnd());
  if (answer.location !== undefined) lines.push(`  location   ${answer.location}`);
  const lost = new Set(answer.failing?.map(({ name }) => name));
  for (const { name, weight } of answer.clusters ?? []) lines.push(`  cluster    ${name}${(answer.clusters?.length ?? 0) > 1 ? ` weight ${weight}` : ''}${lost.has(name) ? ', nobody there' : ''}`);
  for (const { address, priority, health, tls } of (answer.endpoints ?? []).slice(0, 10)) lines.push(`  endpoint   ${address}${priority > 0 ? ` priority ${priority}` : ''}, ${health}, ${tls === 'none' ? 'plaintext' : tls === 'mtls' ? 'mutual TLS' : 'TLS'}`);
  const { settings } = answer;
  if (settings) {
    lines.push(`  as         ${settings.authority}${settings.path}`);
    lines.push(`  timeout    ${settings.timeoutMs === 0 ? 'none' : `${settings.timeoutMs} ms`}`);
    lines.push(`  retries    ${settings.retries === null ? 'none' : `${settings.retries.attempts}${settings.retries.perTryTimeoutMs > 0 ? `, each at most ${settings.retries.perTryTimeoutMs} ms` : ''}`}`);
    for (const fault of settings.faults) lines.push(`  fault      ${fault}`);
    for (const mirror of settings.mirrors) lines.push(`  mirror     ${mirror}`);
  }
  return lines;
}
