import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { drawnPaths } from './drawn-paths.ts';
import { startNginx, type Nginx } from './nginx.ts';
import { TwoHops } from './two-hops.ts';

// nginx decodes, merges slashes and resolves dots itself. Under DECODE_AND_MERGE_SLASHES nothing that it would serve as /admin may get to it.

const policy = `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "pathNormalization: {normalization: DECODE_AND_MERGE_SLASHES}"}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-admin, namespace: foo}
spec: {action: DENY, rules: [{to: [{operation: {paths: ["/admin", "/admin/*"]}}]}]}
`;

let nginx: Nginx;
let mesh: TwoHops;
before(async () => {
  nginx = await startNginx('keepalive_requests 1000000; location = /admin { return 200 forbidden; } location /admin/ { return 200 forbidden; } location / { return 200 fine; }');
  mesh = await TwoHops.start(129, policy, { behind: nginx });
});
after(async () => {
  await mesh.stop();
  await nginx.stop();
});

test('nginx serves none of the drawn paths as /admin, and much else', async () => {
  const paths = [...drawnPaths(7, 1500), '/fine', '/%61dmin', '//admin', '/x/..%2fadmin', '/.%2fadmin', '/x%5c..%5cadmin', '/admin;a', '/admin%20', '/admin%09/x', '/admin%3b/../admin'];
  const seen = new Map<string, number>();
  for (let at = 0; at < paths.length; ) {
    const some = paths.slice(at, at + 100);
    const attacker = await mesh.connect('gateway');
    attacker.send(some.map((path) => `GET ${path} HTTP/1.1\r\nhost: web.foo\r\n\r\n`).join(''));
    const responses = await attacker.responsesOrEnd(some.length);
    attacker.close();
    assert.ok(responses.length > 0);
    for (const [i, { status, body }] of responses.entries()) {
      assert.notEqual(body, 'forbidden', some[i] ?? '');
      seen.set(String(status), (seen.get(String(status)) ?? 0) + 1);
    }
    at += responses.length;
  }
  assert.ok((seen.get('200') ?? 0) > 300 && (seen.get('403') ?? 0) > 50, JSON.stringify([...seen]));
});
