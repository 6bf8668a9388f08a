import { portReason } from '../../rules/addresses.ts';
import { checkDurations, durationReason } from '../../rules/durations.ts';
import type { Findings } from '../../rules/findings.ts';
import { checkGatewayNames } from '../../rules/gateways.ts';
import { checkHeaders, corsNameReason, isAuthority, matchNameReason } from '../../rules/headers.ts';
import { isDnsLabel } from '../../rules/hosts.ts';
import { checkLabels } from '../../rules/labels.ts';
import { regexReason } from '../../rules/regex.ts';
import { child, item } from '../../schema/schema.ts';
import type { StringMatch } from '../types.ts';
import type { CorsPolicy, HttpMatchRequest, HttpRoute } from './types.ts';
import { checkFault } from './validate-fault.ts';
import { checkDirectResponse, checkRedirect, checkRewrite } from './validate-action.ts';
import { checkDestination, checkWeights } from './validate-destination.ts';
import { checkRetries } from './validate-retries.ts';

export interface RouteCheck {
  readonly path: string;
  readonly isDelegate: boolean;
  readonly findings: Findings;
}

export function checkHttpRoute(route: HttpRoute, check: RouteCheck): void {
  const { path, findings } = check;
  checkActions(route, check);
  for (const [i, match] of route.match.entries()) checkMatch(match, item(`${path}.match`, i), findings);
  checkHeaders(route.headers, `${path}.headers`, findings);
  checkCors(route.corsPolicy, `${path}.corsPolicy`, findings);
  checkFault(route.fault, `${path}.fault`, findings);
  if (route.delegate === undefined || check.isDelegate) checkOneMirror(route, path, findings);
  checkMirrors(route, path, findings);
  checkRedirect(route, `${path}.redirect`, findings);
  checkDirectResponse(route.directResponse, `${path}.directResponse`, findings);
  checkRetries(route.retries, `${path}.retries`, findings);
  checkRewrite(route.rewrite, `${path}.rewrite`, findings);
  checkAuthority(route, path, findings);
  for (const [i, one] of route.route.entries()) {
    checkDestination(one.destination, `${item(`${path}.route`, i)}.destination`, findings);
    checkHeaders(one.headers, `${item(`${path}.route`, i)}.headers`, findings);
  }
  checkWeights(route.route, `${path}.route`, findings);
  findings.check(`${path}.timeout`, durationReason(route.timeout));
}

function checkActions(route: HttpRoute, { path, isDelegate, findings }: RouteCheck): void {
  if (route.delegate && isDelegate) findings.error(`${path}.delegate`, 'a delegate cannot delegate again: give it routes');
  if (route.delegate && !isDelegate) {
    if (route.redirect) findings.error(`${path}.redirect`, 'cannot be set beside delegate: the delegate decides');
    if (route.route.length > 0) findings.error(`${path}.route`, 'cannot be set beside delegate: the delegate decides');
    return;
  }
  const action = route.redirect ? 'redirect' : route.directResponse ? 'directResponse' : 'route';
  if (action === 'route' && route.route.length === 0) {
    findings.error(path, 'needs one of route, redirect, directResponse or delegate');
    return;
  }
  if (action === 'route') return;
  if (action === 'redirect' && route.directResponse) findings.error(`${path}.directResponse`, 'cannot be set beside redirect');
  if (route.route.length > 0) findings.error(`${path}.route`, `cannot be set beside ${action}`);
  for (const field of ['fault', 'rewrite'] as const) if (route[field]) findings.error(`${path}.${field}`, `cannot be set beside ${action}`);
}

function checkMatch(match: HttpMatchRequest, path: string, findings: Findings): void {
  for (const field of ['headers', 'withoutHeaders', 'queryParams'] as const) {
    for (const [name, value] of Object.entries(match[field])) {
      const at = child(`${path}.${field}`, name);
      if (field !== 'queryParams') findings.check(at, matchNameReason(name));
      // "*" is not RE2, but withoutHeaders has long read it as "is present".
      if (!(field === 'withoutHeaders' && value.regex === '*')) checkStringMatch(value, at, findings);
    }
  }
  // An empty prefix of the path matches everything; of the others Envoy refuses it.
  if (match.uri?.regex !== undefined) findings.check(`${path}.uri.regex`, regexReason(match.uri.regex));
  for (const field of ['scheme', 'method', 'authority'] as const) checkStringMatch(match[field], `${path}.${field}`, findings);
  if (match.port !== 0) findings.check(`${path}.port`, portReason(match.port));
  checkLabels(match.sourceLabels, `${path}.sourceLabels`, findings);
  checkGatewayNames(match.gateways, `${path}.gateways`, findings);
  if (match.sourceNamespace !== '' && !isDnsLabel(match.sourceNamespace)) findings.error(`${path}.sourceNamespace`, `"${match.sourceNamespace}" is not a namespace`);
}

function checkStringMatch(match: StringMatch | undefined, path: string, findings: Findings): void {
  if (match?.prefix === '') findings.error(`${path}.prefix`, 'must not be empty');
  if (match?.regex !== undefined) findings.check(`${path}.regex`, regexReason(match.regex));
}

const corsMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', '*'];

function checkCors(cors: CorsPolicy | undefined, path: string, findings: Findings): void {
  if (!cors) return;
  if (cors.allowOrigin.length > 0) findings.warn(`${path}.allowOrigin`, 'is deprecated: use allowOrigins');
  for (const [i, origin] of cors.allowOrigins.entries()) {
    const at = item(`${path}.allowOrigins`, i);
    if ((origin.exact ?? origin.prefix ?? origin.regex ?? '') === '') findings.error(at, 'needs a value in exact, prefix or regex');
    else if (origin.regex !== undefined) findings.check(`${at}.regex`, regexReason(origin.regex));
  }
  for (const [i, method] of cors.allowMethods.entries())
    if (!corsMethods.includes(method)) findings.error(item(`${path}.allowMethods`, i), `"${method}" is not an HTTP method: use ${corsMethods.join(', ')}`);
  for (const field of ['allowHeaders', 'exposeHeaders'] as const)
    for (const [i, name] of cors[field].entries()) findings.check(item(`${path}.${field}`, i), corsNameReason(name));
  checkDurations(cors, ['maxAge'], { path, findings });
  if ((cors.maxAge ?? 0) % 1000 !== 0) findings.error(`${path}.maxAge`, 'must be in whole seconds, because the header is');
}

function checkOneMirror(route: HttpRoute, path: string, findings: Findings): void {
  if (route.mirror && route.mirrors.length > 0) findings.error(`${path}.mirrors`, 'cannot be set beside mirror');
}

function checkMirrors(route: HttpRoute, path: string, findings: Findings): void {
  if (route.mirror) checkDestination(route.mirror, `${path}.mirror`, findings);
  if (route.mirrorPercent !== undefined) {
    findings.warn(`${path}.mirrorPercent`, 'is deprecated: use mirrorPercentage');
    if (route.mirrorPercent > 100) findings.error(`${path}.mirrorPercent`, `must be in the range 0…100, found ${route.mirrorPercent}`);
  }
  checkMirrorPercentage(route.mirrorPercentage?.value, `${path}.mirrorPercentage.value`, findings);
  for (const [i, mirror] of route.mirrors.entries()) {
    const at = item(`${path}.mirrors`, i);
    checkDestination(mirror.destination, `${at}.destination`, findings);
    checkMirrorPercentage(mirror.percentage?.value, `${at}.percentage.value`, findings);
  }
}

function checkMirrorPercentage(value: number | undefined, path: string, findings: Findings): void {
  if (value !== undefined && (value < 0 || value > 100)) findings.error(path, `must be in the range 0…100, found ${value}`);
}

function checkAuthority(route: HttpRoute, path: string, findings: Findings): void {
  const request = route.headers?.request;
  const places = (['set', 'add'] as const).flatMap((verb) => Object.keys(request?.[verb] ?? {}).filter(isAuthority).map((name) => child(`${path}.headers.request.${verb}`, name)));
  if ((route.rewrite?.authority ?? '') !== '') places.unshift(`${path}.rewrite.authority`);
  for (const place of places.slice(1)) findings.error(place, `the authority is already set by ${places[0]}`);
}
