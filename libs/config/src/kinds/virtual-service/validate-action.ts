import { portReason } from '../../rules/addresses.ts';
import type { Findings } from '../../rules/findings.ts';
import { regexReason } from '../../rules/regex.ts';
import type { HttpDirectResponse, HttpRewrite, HttpRoute } from './types.ts';
import { statusReason } from './validate-fault.ts';

const redirectCodes = [301, 302, 303, 307, 308];
const bodyWarnBytes = 100 * 1024;
const bodyMaxBytes = 1024 * 1024;

export function checkRedirect(route: HttpRoute, path: string, findings: Findings): void {
  const redirect = route.redirect;
  if (!redirect) return;
  if (redirect.uri !== '' && redirect.prefixRewrite !== '') findings.error(`${path}.prefixRewrite`, 'cannot be set beside uri');
  if (redirect.prefixRewrite !== '' && route.match.some((match) => match.uri && match.uri.prefix === undefined))
    findings.error(`${path}.prefixRewrite`, 'needs every uri match of this route to be a prefix');
  const port = redirect.port !== undefined || redirect.derivePort !== undefined;
  if (!port && [redirect.uri, redirect.prefixRewrite, redirect.authority, redirect.scheme].every((one) => one === ''))
    findings.error(path, 'needs at least one of uri, prefixRewrite, authority, scheme, port or derivePort');
  if (redirect.port !== undefined && redirect.port !== 0) findings.check(`${path}.port`, portReason(redirect.port));
  if (!['', 'http', 'https'].includes(redirect.scheme)) findings.error(`${path}.scheme`, `must be http or https, found "${redirect.scheme}"`);
  checkRedirectCode(redirect.redirectCode, `${path}.redirectCode`, findings);
}

function checkRedirectCode(code: number, path: string, findings: Findings): void {
  if (code === 0 || redirectCodes.includes(code)) return;
  if (code < 300 || code > 399) findings.error(path, `must be one of ${redirectCodes.join(', ')}, found ${code}`);
  // Istio's webhook lets these pass, though no proxy can send them.
  else findings.warn(path, `${code} cannot be sent; 301 is sent instead. Use one of ${redirectCodes.join(', ')}`);
}

export function checkDirectResponse(response: HttpDirectResponse | undefined, path: string, findings: Findings): void {
  if (!response) return;
  findings.check(`${path}.status`, statusReason(response.status));
  const bytes = response.body?.bytes?.length ?? Buffer.byteLength(response.body?.string ?? '');
  if (bytes > bodyMaxBytes) findings.error(`${path}.body`, `must have at most ${bodyMaxBytes} bytes, has ${bytes}`);
  else if (bytes > bodyWarnBytes) findings.warn(`${path}.body`, `has ${bytes} bytes, which every proxy keeps in memory`);
}

export function checkRewrite(rewrite: HttpRewrite | undefined, path: string, findings: Findings): void {
  if (!rewrite) return;
  const regex = rewrite.uriRegexRewrite;
  if (rewrite.uri !== '' && regex) findings.error(`${path}.uriRegexRewrite`, 'cannot be set beside uri');
  if (rewrite.uri === '' && !regex && rewrite.authority === '') findings.error(path, 'needs at least one of uri, uriRegexRewrite or authority');
  if (!regex) return;
  if (regex.match === '' || regex.rewrite === '') findings.error(`${path}.uriRegexRewrite`, 'needs both match and rewrite');
  else findings.check(`${path}.uriRegexRewrite.match`, regexReason(regex.match));
}
