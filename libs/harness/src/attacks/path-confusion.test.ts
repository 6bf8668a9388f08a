import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { RawResponse } from './attacker.ts';
import { drawnPaths } from './drawn-paths.ts';
import { TwoHops, type Entrance } from './two-hops.ts';

// One path, three readers: the policy, the route and the application must mean the same by it, in every mode of normalization.

/** MeshConfig's pathNormalization, and what EnvoyFilters make of escaped slashes. */
const modes = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES', 'REJECT', 'REDIRECT'] as const;
type Mode = (typeof modes)[number];

const escapedSlashes: Partial<Record<Mode, string>> = { REJECT: 'REJECT_REQUEST', REDIRECT: 'UNESCAPE_AND_REDIRECT' };
const asking = (mode: Mode): string => `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "pathNormalization: {normalization: ${escapedSlashes[mode] ? 'MERGE_SLASHES' : mode}}"}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-admin, namespace: foo}
spec: {action: DENY, rules: [{to: [{operation: {paths: ["/admin", "/admin/*"]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-secret-host, namespace: foo}
spec: {action: DENY, rules: [{to: [{operation: {hosts: ["secret.foo", "secret.foo:*"]}}]}]}
${escapedSlashes[mode] === undefined ? '' : `---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: slashes, namespace: istio-system}
spec:
  configPatches:
  - applyTo: NETWORK_FILTER
    match: {listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}}
    patch: {operation: MERGE, value: {typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, path_with_escaped_slashes_action: ${escapedSlashes[mode]}}}}
`}`;

/** "denied", "400", "307 LOCATION", or what the application is asked for; "=" is the path as it was sent. */
type Outcome = string;
const D = 'denied';
const same = '=';

/** A path, then what becomes of it under NONE, BASE, MERGE_SLASHES, DECODE_AND_MERGE_SLASHES, and with escaped slashes refused or redirected. */
const table: readonly (readonly [path: string, ...outcomes: readonly Outcome[]])[] = [
  ['/admin', D, D, D, D, D, D],
  ['/admin/', D, D, D, D, D, D],
  ['/admin/x', D, D, D, D, D, D],
  ['/admin?x', D, D, D, D, D, D],
  ['/admin?', D, D, D, D, D, D],
  ['/admin%3Fx', same, same, same, same, same, same],
  ['/%61dmin', same, D, D, D, D, D],
  ['/adm%69n', same, D, D, D, D, D],
  ['/%2561dmin', same, same, same, same, same, same],
  ['//admin', same, same, D, D, D, D],
  ['///admin', same, same, D, D, D, D],
  ['/./admin', same, D, D, D, D, D],
  ['/x/../admin', same, D, D, D, D, D],
  ['/%2e/admin', same, D, D, D, D, D],
  ['/x/%2E%2e/admin', same, D, D, D, D, D],
  ['/x/.%2e/admin', same, D, D, D, D, D],
  ['/.//admin', same, '//admin', D, D, D, D],
  ['/x//../admin', same, '/x/admin', '/x/admin', '/x/admin', '/x/admin', '/x/admin'],
  ['/admin/../x', D, '/x', '/x', '/x', '/x', '/x'],
  ['/admin/..', D, '/', '/', '/', '/', '/'],
  ['/../admin', same, D, D, D, D, D],
  ['/%2fadmin', same, same, same, D, '400', '307 /admin'],
  ['/x%2f..%2Fadmin', same, same, same, D, '400', '307 /admin'],
  ['/x%5c..%5Cadmin', same, same, same, D, '400', '307 /admin'],
  ['/x%2f%2f..%2fadmin', same, same, same, '/x/admin', '400', '307 /x/admin'],
  ['/x%252f..%252fadmin', same, same, same, same, same, same],
  ['/admin%2f', same, same, same, D, '400', '307 /admin/'],
  ['/\\admin', same, '//admin', D, D, D, D],
  ['/x\\..\\admin', same, D, D, D, D, D],
  ['/admin\\', same, D, D, D, D, D],
  ['/admin;a=b', same, same, same, same, same, same],
  ['/x/..;/admin', same, same, same, same, same, same],
  ['/admin/..;/x', D, D, D, D, D, D],
  ['/admin.', same, same, same, same, same, same],
  ['/admin%20', same, same, same, same, same, same],
  ['/ADMIN', same, same, same, same, same, same],
  ['/admin%00', same, '400', '400', '400', '400', '400'],
  ['/x%00/../admin', same, '400', '400', '400', '400', '400'],
  ['/admin%c0%af', same, same, same, same, same, same],
  ['/%c0%ae%c0%ae/admin', same, same, same, same, same, same],
  ['/%u0061dmin', same, same, same, same, same, same],
  ['/admin"', same, '/admin%22', '/admin%22', '/admin%22', '/admin%22', '/admin%22'],
  ['/?/../admin', same, same, same, same, same, same],
  ['/x?/%2f/../admin', same, same, same, same, same, same],
  ['http://web.foo/admin', D, D, D, D, D, D],
  ['http://web.foo//admin', '//admin', '//admin', D, D, D, D],
  ['http://web.foo/x/../admin', '/x/../admin', D, D, D, D, D],
  ['http://web.foo?/admin', '/?/admin', '/?/admin', '/?/admin', '/?/admin', '/?/admin', '/?/admin'],
  ['http://web.foo\\/admin', '400', '400', '400', '400', '400', '400'],
  ['\\admin', '400', '400', '400', '400', '400', '400'],
  ['/admin#x', '400', '400', '400', '400', '400', '400'],
  ['/x#/../admin', '400', '400', '400', '400', '400', '400'],
  ['/admin\x80', '400', '400', '400', '400', '400', '400'],
];

/** The same path at several hosts: Host header, then "denied", "400", or the host that the application is asked for. */
const hosts: readonly (readonly [host: string, outcome: Outcome])[] = [
  ['web.foo', same], ['secret.foo', D], ['SECRET.Foo', D], ['secret.foo:8080', D], ['Secret.foo:1', D], ['secret.foo:', D],
  ['user@secret.foo', '400'], ['secret.foo/', '400'], ['secret.foo\\', '400'], ['secret.foo#', '400'], ['secret.foo?', '400'], ['secret foo', '400'], ['secret.foo\t', D], ['', '400'],
  ['secret.foo\r\nHost: web.foo', '400'], ['web.foo\r\nHost: secret.foo', '400'], ['secret.foo.', same], ['secret%2efoo', same], ['[::1]', same],
];

/** What Istio's documentation says of a mode, written apart from the proxy: WHATWG's URL for the dots, replacement for the rest. Null: refused. */
function documented(mode: Mode, target: string): string | null {
  const path = target.split('?', 1)[0] ?? '';
  const escaped = /%2f|%5c/i.test(path);
  if (mode === 'REJECT' && escaped) return null;
  let out = mode === 'DECODE_AND_MERGE_SLASHES' || mode === 'REDIRECT' ? path.replaceAll(/%2f/gi, '/').replaceAll(/%5c/gi, '\\') : path;
  if (mode !== 'NONE') out = new URL(`http://x${out}`).pathname.replaceAll(/%([2-7][0-9a-f])/gi, (all, hex: string) => (/[\w.~-]/.test(String.fromCharCode(Number.parseInt(hex, 16))) ? String.fromCharCode(Number.parseInt(hex, 16)) : all));
  if (mode !== 'NONE' && mode !== 'BASE') out = out.replaceAll(/\/+/g, '/');
  return out + target.slice(path.length);
}

const isAdmin = (target: string) => /^\/admin(?:\/|\?|$)/.test(target);

function outcomeOf({ status, head, body }: RawResponse): Outcome {
  if (status === 403) return D;
  if (status === 307) return `307 ${/^location: (.*)\r?$/im.exec(head)?.[1]}`;
  return status === 200 ? body : String(status);
}

for (const [column, mode] of modes.entries())
  describe(mode, () => {
    let mesh: TwoHops;
    before(async () => {
      mesh = await TwoHops.start(123 + column, asking(mode));
    });
    after(() => mesh.stop());

    const ask = async (entrance: Entrance, text: string): Promise<RawResponse> => {
      const attacker = await mesh.connect(entrance);
      attacker.send(text);
      const [response] = await attacker.responses(1);
      attacker.close();
      assert.ok(response);
      return response;
    };

    for (const [path, ...outcomes] of table)
      test(JSON.stringify(path), async () => {
        const expected = outcomes[column] === same ? path : outcomes[column];
        for (const entrance of ['gateway', 'sidecar'] as const) {
          mesh.forget();
          assert.equal(outcomeOf(await ask(entrance, `GET ${path} HTTP/1.1\r\nhost: web.foo\r\n\r\n`)), expected, entrance);
          const [request] = mesh.application.requests;
          assert.equal(request?.target, expected?.startsWith('/') ? expected : undefined, `what the application is asked for through the ${entrance}`);
        }
      });

    test('drawn paths: none gets to what the mode says is /admin, and the application is asked for what the policy saw', async () => {
      for (const entrance of ['gateway', 'sidecar'] as const) {
        const paths = drawnPaths(column + 1, 600);
        for (let at = 0; at < paths.length; ) {
          const some = paths.slice(at, at + 100);
          const attacker = await mesh.connect(entrance);
          attacker.send(some.map((path) => `GET ${path} HTTP/1.1\r\nhost: web.foo\r\n\r\n`).join(''));
          // a refusal ends the connection
          const responses = await attacker.responsesOrEnd(some.length);
          attacker.close();
          assert.ok(responses.length > 0);
          for (const [i, response] of responses.entries()) {
            const path = some[i] ?? '';
            const meant = documented(mode, path);
            const redirected = mode === 'REDIRECT' && /%2f|%5c/i.test(path.split('?')[0] ?? '');
            const expected = meant === null ? '400' : redirected ? `307 ${meant}` : isAdmin(meant) ? D : meant;
            assert.equal(outcomeOf(response), expected, `${path} through the ${entrance}`);
          }
          at += responses.length;
        }
      }
    });

    if (mode === 'BASE')
      for (const [host, outcome] of hosts)
        test(`Host: ${JSON.stringify(host)}`, async () => {
          for (const entrance of ['gateway', 'sidecar'] as const) {
            mesh.forget();
            const { status } = await ask(entrance, `GET /a HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
            assert.equal(status === 403 ? D : status === 200 ? same : String(status), outcome, entrance);
            if (outcome === same) assert.match(mesh.application.text, new RegExp(`\r\nhost: ${host.replaceAll(/[.[\]]/g, '\\$&')}\r\n`));
            else assert.equal(mesh.application.text, '');
          }
        });

    test('OPTIONS *, and CONNECT, pass no policy by', async () => {
      assert.equal((await ask('sidecar', `OPTIONS * HTTP/1.1\r\nhost: web.foo\r\n\r\n`)).status, 404);
      assert.equal((await ask('sidecar', `CONNECT web.foo:8080 HTTP/1.1\r\nhost: web.foo:8080\r\n\r\n`)).status, 403);
    });
  });
