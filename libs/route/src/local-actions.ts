import type { DirectResponseAction, RedirectAction as RedirectMessage } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { checkFields } from './fields.ts';
import { directResponseFields, redirectFields } from './field-tables.ts';
import { prefixRewrite } from './forward-action.ts';
import { compileRewrite } from './regex-rewrite.ts';
import type { PathMatch } from './path-match.ts';
import type { Report } from './report.ts';
import type { DirectAction, RedirectAction } from './types.ts';

const redirectStatus = [301, 302, 303, 307, 308] as const;

/** Compiles a redirect. */
export function compileRedirect(action: RedirectMessage, match: PathMatch, path: string, report: Report): RedirectAction {
  checkFields(action, redirectFields, path, report);
  const scheme = action.schemeRewriteSpecifier;
  const status = redirectStatus[action.responseCode as 0 | 1 | 2 | 3 | 4];
  if (status === undefined) report.refuse(`${path}.response_code`, `${action.responseCode} is not a redirect code`);
  if (action.portRedirect > 65_535) report.refuse(`${path}.port_redirect`, 'must be a port');
  return {
    kind: 'redirect',
    status: status ?? 301,
    scheme: scheme?.$case === 'schemeRedirect' ? scheme.value : scheme?.value === true ? 'https' : null,
    host: action.hostRedirect === '' ? null : action.hostRedirect,
    port: action.portRedirect === 0 ? null : action.portRedirect,
    path: compileRedirectPath(action, match, path, report),
    stripQuery: action.stripQuery,
  };
}

function compileRedirectPath(action: RedirectMessage, match: PathMatch, path: string, report: Report): RedirectAction['path'] {
  const rewrite = action.pathRewriteSpecifier;
  switch (rewrite?.$case) {
    case undefined:
      return null;
    case 'pathRedirect':
      return { kind: 'path', value: rewrite.value };
    case 'prefixRewrite':
      return prefixRewrite(rewrite.value, match);
    case 'regexRewrite': {
      const regex = compileRewrite(rewrite.value, `${path}.regex_rewrite`, report);
      return regex && { kind: 'regex', regex };
    }
  }
}

/** Compiles a direct response; bodies come from the config itself, at most `maxBodyBytes`. */
export function compileDirect(action: DirectResponseAction, maxBodyBytes: number, path: string, report: Report): DirectAction {
  checkFields(action, directResponseFields, path, report);
  if (action.status < 200 || action.status > 599) report.refuse(`${path}.status`, 'must be 200 to 599');
  const body = directBody(action, path, report);
  if (body !== null && body.length > maxBodyBytes) report.refuse(`${path}.body`, `${body.length} bytes are more than max_direct_response_body_size_bytes (${maxBodyBytes})`);
  return { kind: 'direct', status: action.status, body };
}

function directBody(action: DirectResponseAction, path: string, report: Report): Buffer | null {
  const source = action.body?.specifier;
  if (!source) return null;
  if (source.$case === 'inlineString') return Buffer.from(source.value);
  if (source.$case === 'inlineBytes') return source.value;
  report.refuse(`${path}.body`, 'bodies from files or the environment are not supported: use inline_string or inline_bytes');
  return null;
}
