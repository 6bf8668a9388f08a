import type { HttpDirectResponse, HttpRedirect } from '@meltemi/config';
import { DataSource } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { RedirectAction, RedirectAction_RedirectResponseCode as Code, type DirectResponseAction } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { create } from '../message.ts';

const codes: Readonly<Record<number, Code>> = { 0: Code.MOVED_PERMANENTLY, 301: Code.MOVED_PERMANENTLY, 302: Code.FOUND, 303: Code.SEE_OTHER, 307: Code.TEMPORARY_REDIRECT, 308: Code.PERMANENT_REDIRECT };

/** `port` is the one the client dialled, `tls` whether over TLS. */
export function redirectAction(redirect: HttpRedirect, place: { readonly port: number; readonly tls: boolean }): RedirectAction {
  return create(RedirectAction, {
    hostRedirect: redirect.authority,
    portRedirect: redirectPort(redirect, place),
    ...pathRewrite(redirect),
    ...(redirect.scheme === '' ? {} : { schemeRewriteSpecifier: { $case: 'schemeRedirect', value: redirect.scheme } as const }),
    responseCode: codes[redirect.redirectCode] ?? Code.MOVED_PERMANENTLY,
  });
}

function pathRewrite({ prefixRewrite, uri }: HttpRedirect): Pick<RedirectAction, 'pathRewriteSpecifier'> {
  if (prefixRewrite !== '') return { pathRewriteSpecifier: { $case: 'prefixRewrite', value: prefixRewrite } };
  return { pathRewriteSpecifier: uri === '' ? undefined : { $case: 'pathRedirect', value: uri } };
}

/** 0 keeps the port out of the location, as does the scheme's own. */
function redirectPort(redirect: HttpRedirect, place: { readonly port: number; readonly tls: boolean }): number {
  const port = redirect.port ?? (redirect.derivePort === 'FROM_REQUEST_PORT' ? place.port : 0);
  const scheme = redirect.scheme || (place.tls ? 'https' : 'http');
  return (port === 80 && scheme === 'http') || (port === 443 && scheme === 'https') ? 0 : port;
}

export function directResponseAction({ status, body }: HttpDirectResponse): DirectResponseAction {
  const specifier: DataSource['specifier'] = body?.string !== undefined ? { $case: 'inlineString', value: body.string } : body?.bytes ? { $case: 'inlineBytes', value: Buffer.from(body.bytes) } : undefined;
  return { status, body: specifier ? create(DataSource, { specifier }) : undefined };
}
