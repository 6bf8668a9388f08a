import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterJson, requestText, Served } from '../../../testing/served.ts';

type Json = Record<string, unknown>;
const predicate = (name: string, config: Json = {}) => ({ name, typedConfig: { '@type': `type.googleapis.com/envoy.extensions.internal_redirect.${name}`, ...config } });
const previousRoutes = predicate('previous_routes.v3.PreviousRoutesConfig');

/** Routes /a and /b to the cluster, with a policy; the client's answer and what the access log got. */
function world(policy: Json | undefined, more: Json = {}) {
  const route = { cluster: 'app', timeout: '5s', ...(policy === undefined ? {} : { internalRedirectPolicy: policy }), ...more };
  const served = new Served({ routes: ['a', 'b'].map((name) => ({ name, match: { prefix: `/${name}` }, route })) });
  const { wire } = served.connect();
  const { backend } = served;
  const counted = (name: string) => served.stats.entries().find((entry) => entry.name === name)?.value ?? 0;
  return {
    served, wire, counted,
    ask: (path = '/a', method = 'GET', fields: readonly string[] = [], body = '') => wire.receive(requestText(path, body === '' ? fields : [...fields, `content-length: ${body.length}`], method) + body),
    requests: () => backend.requests.map(({ head }) => `${head.method} ${head.scheme}://${head.authority}${head.path}`),
    redirect: (location: string, status = 302, fields: readonly string[] = []) => backend.requests.at(-1)?.respond(status, ['location', location, ...fields], 'moved'),
    answer: () => backend.requests.at(-1)?.respond(200, [], 'there'),
    clientStatus: () => /^HTTP\/1\.1 (\d+)/.exec(wire.sent)?.[1],
  };
}

test('a redirect is followed in place of the client, through all filters again', () => {
  const { ask, redirect, requests, answer, wire, served, counted } = world({});
  ask('/a?x=1');
  redirect('http://other.example/b/c?y=2#part');
  assert.deepEqual(requests(), ['GET http://reviews:9080/a?x=1', 'GET http://other.example/b/c?y=2']);
  assert.equal(served.backend.requests[1]?.head.headers.get('x-envoy-original-url'), 'http://reviews:9080/a?x=1');
  assert.equal(wire.sent, '');
  answer();
  assert.match(wire.sent, /^HTTP\/1\.1 200 [\s\S]*there\r\n0/);
  assert.deepEqual(served.done.map((info) => [info.routeName, info.responseCode, info.responseCodeDetails]), [['a', 302, 'internal_redirect'], ['b', 200, 'via_upstream']]);
  assert.equal(served.done[0]?.requestId, served.done[1]?.requestId);
  assert.equal(counted('cluster.app.upstream_internal_redirect_succeeded_total'), 1);
  assert.deepEqual([served.manager.stats.rqActive.value, served.bugs], [0, []]);
});

test('the connection serves the next request, and the redirected one is the client\'s to give up', () => {
  const { ask, redirect, answer, wire, served } = world({});
  ask();
  redirect('http://x/b');
  answer();
  ask('/b');
  answer();
  assert.equal(wire.sent.match(/^HTTP\/1\.1 200/gm)?.length, 2);
  ask();
  redirect('http://x/b');
  wire.destroy();
  assert.equal(served.backend.requests.at(-1)?.wasReset, true);
  assert.deepEqual([served.manager.stats.rqActive.value, served.done.at(-1)?.responseCodeDetails], [0, 'downstream_remote_disconnect']);
});

test('a body is sent again; a 303 makes a GET without one', () => {
  const { ask, redirect, served, answer } = world({ redirectResponseCodes: [303, 307] });
  ask('/a', 'POST', [], 'a body');
  redirect('http://x/b', 307);
  const [, again] = served.backend.requests;
  assert.deepEqual([again?.head.method, again?.body, again?.ended], ['POST', 'a body', true]);
  answer();
  ask('/a', 'POST', [], 'a body');
  redirect('http://x/b', 303);
  const last = served.backend.requests.at(-1);
  assert.deepEqual([last?.head.method, last?.body, last?.head.headers.get('content-length')], ['GET', '', null]);
});

for (const [why, policy, location, status, counter] of [
  ['no policy', undefined, 'http://x/b', 302, null],
  ['another status than 302', {}, 'http://x/b', 307, null],
  ['a location that is no absolute URL', {}, '/b', 302, 'bad_location'],
  ['a location of another kind', {}, 'ftp://x/b', 302, 'bad_location'],
  ['a location that would break the request line', {}, 'http://x/b HTTP/1.1', 302, 'bad_location'],
  ['a host with a user', {}, 'http://u@x/b', 302, 'bad_location'],
  ['another scheme', {}, 'https://x/b', 302, 'unsafe_scheme'],
  ['no route there', {}, 'http://x/nowhere', 302, 'no_route'],
  ['none may be followed', { maxInternalRedirects: 0 }, 'http://x/b', 302, 'too_many_redirects'],
  ['a route that is not listed', { predicates: [predicate('allow_listed_routes.v3.AllowListedRoutesConfig', { allowedRouteNames: ['a'] })] }, 'http://x/b', 302, 'predicate'],
  ['from http to https, where only safe changes are', { allowCrossSchemeRedirect: true, predicates: [predicate('safe_cross_scheme.v3.SafeCrossSchemeConfig')] }, 'https://x/b', 302, 'predicate'],
] as const) {
  test(`the client gets the redirect: ${why}`, () => {
    const { ask, redirect, wire, requests, counted } = world(policy);
    ask();
    redirect(location, status);
    assert.equal(requests().length, 1);
    assert.match(wire.sent, new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*location: ${location.replaceAll('.', '\\.')}`));
    if (counter === null) return;
    assert.deepEqual([counted(`http.test.passthrough_internal_redirect_${counter}`), counted('cluster.app.upstream_internal_redirect_failed_total')], [1, 1]);
  });
}

test('what the policy allows is followed: other schemes, more than one, listed routes', () => {
  const listed = predicate('allow_listed_routes.v3.AllowListedRoutesConfig', { allowedRouteNames: ['b'] });
  const { ask, redirect, requests, clientStatus } = world({ allowCrossSchemeRedirect: true, maxInternalRedirects: 2, predicates: [listed] });
  ask();
  redirect('https://x/b/1');
  redirect('http://y/b/2');
  redirect('http://z/b/3');
  assert.deepEqual(requests(), ['GET http://reviews:9080/a', 'GET https://x/b/1', 'GET http://y/b/2']);
  assert.equal(clientStatus(), '302');
});

test('with previous_routes no route leads to the same one twice', () => {
  const { ask, redirect, requests, clientStatus } = world({ maxInternalRedirects: 9, predicates: [previousRoutes] });
  ask();
  for (const path of ['b', 'a', 'b']) redirect(`http://x/${path}`);
  assert.deepEqual(requests().length, 3);
  assert.equal(clientStatus(), '302');
});

test('fields of the redirect are taken over, and those it lacks are dropped', () => {
  const { ask, redirect, served } = world({ responseHeadersToCopy: ['X-Token', 'x-gone'] });
  ask('/a', 'GET', ['x-token: old', 'x-gone: here', 'x-kept: yes']);
  redirect('http://x/b', 302, ['x-token', 'one', 'x-token', 'two']);
  const headers = served.backend.requests[1]?.head.headers;
  assert.deepEqual([headers?.getAll('x-token'), headers?.get('x-gone'), headers?.get('x-kept')], ['one,two', null, 'yes']);
});

test('the old action follows one redirect, or as many as it says', () => {
  const one = world(undefined, { internalRedirectAction: 'HANDLE_INTERNAL_REDIRECT' });
  one.ask();
  one.redirect('http://x/b');
  one.redirect('http://x/a');
  assert.deepEqual([one.requests().length, one.clientStatus()], [2, '302']);
  const three = world(undefined, { internalRedirectAction: 'HANDLE_INTERNAL_REDIRECT', maxInternalRedirects: 3 });
  three.ask();
  for (let i = 0; i < 4; i++) three.redirect('http://x/b');
  assert.equal(three.requests().length, 4);
});

test('a body larger than may be kept, or not there yet, leaves the redirect to the client', () => {
  const { wire, served, redirect, clientStatus } = world({});
  wire.receive(requestText('/a', ['content-length: 10'], 'POST') + 'half');
  redirect('http://x/b');
  assert.deepEqual([served.backend.requests.length, clientStatus()], [1, '302']);
});

test('filters see the redirected request as a new one', () => {
  const pass = filterJson('envoy.filters.http.header_mutation', 'envoy.extensions.filters.http.header_mutation.v3.HeaderMutation', { mutations: { requestMutations: [{ append: { header: { key: 'x-pass', value: '%REQ(:PATH)%' } } }] } });
  const served = new Served({ filters: [pass], routes: [{ match: { prefix: '/' }, route: { cluster: 'app', internalRedirectPolicy: {} } }] });
  served.connect().wire.receive(requestText('/a'));
  served.backend.requests[0]?.respond(302, ['location', 'http://x/b'], '');
  assert.equal(served.backend.requests[1]?.head.headers.getAll('x-pass'), '/a,/b');
});
