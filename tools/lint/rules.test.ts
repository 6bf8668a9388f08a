import assert from 'node:assert/strict';
import { test } from 'node:test';
import { breaches } from './rules.ts';
import type { Project } from './workspace.ts';

const project = (name: string, plane: string, hands: string, extra: Partial<Project> = {}): Project => ({
  name, root: `libs/${name}`, tags: [`plane:${plane}`, `hands:${hands}`], declared: [], files: [], dependsOn: [], ...extra,
});

test('the control plane may not import the data plane, nor the other way round', () => {
  assert.match(breaches([project('a', 'control', 'pure', { dependsOn: ['b'] }), project('b', 'data', 'pure')], () => '').join(), /xDS is the contract/);
  assert.match(breaches([project('a', 'data', 'pure', { dependsOn: ['b'] }), project('b', 'control', 'pure')], () => '').join(), /xDS is the contract/);
});

test('a tool may import both planes', () => {
  assert.deepEqual(breaches([project('t', 'tool', 'edge', { dependsOn: ['a', 'b'] }), project('a', 'control', 'pure'), project('b', 'data', 'edge')], () => ''), []);
});

test('pure code may not import edge packages, sockets, time or randomness', () => {
  const one = (text: string) => breaches([project('a', 'shared', 'pure', { files: ['libs/a/src/x.ts'] })], () => text).join();
  assert.match(breaches([project('a', 'shared', 'pure', { dependsOn: ['b'] }), project('b', 'shared', 'edge')], () => '').join(), /take what it gives as a port/);
  assert.match(one(`import { connect } from 'node:net';`), /node:net/);
  assert.match(one('const now = Date.now();'), /time, randomness/);
  assert.equal(one('// Date.now() is the edge\'s'), '');
});

test('an import of another package must be declared, and relative imports stay inside their package', () => {
  const files = ['libs/a/src/x.ts'];
  assert.match(breaches([project('a', 'shared', 'pure', { files }), project('b', 'shared', 'pure')], () => `import { x } from 'b';`).join(), /does not declare/);
  assert.match(breaches([project('a', 'shared', 'pure', { files })], () => `import { x } from '../../b/src/x.ts';`).join(), /reaches out/);
});
