import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileUriTemplate } from './index.ts';

const rows: readonly [template: string, matching: readonly string[], other: readonly string[]][] = [
  ['/a/*/c', ['/a/b/c', '/a/b.x/c'], ['/a//c', '/a/b/c/', '/a/b/b/c', '/A/b/c', '/a/b']],
  ['/a/**', ['/a/', '/a/b', '/a/b/c/'], ['/a', '/ab', '/b/a/']],
  ['/**/c', ['//c', '/a/c', '/a/b/c'], ['/c', '/a/c/d']],
  ['/a/{x}/{y=*}', ['/a/b/c'], ['/a/b', '/a/b/c/d']],
  ['/a/{x=b/**}', ['/a/b/', '/a/b/c/d'], ['/a/c/', '/a/b']],
  ['/a/*.txt', ['/a/b.txt'], ['/a/bxtxt', '/a/.txt', '/a/b/c.txt']],
  ['/a(1)+$/', ['/a(1)+$/'], ['/a(1)+$', '/a11/']],
  ['/', ['/'], ['', '/a']],
];

for (const [template, matching, other] of rows)
  test(`"${template}" matches whole paths`, () => {
    const compiled = compileUriTemplate(template, 'p');
    assert.ok(compiled.ok, JSON.stringify(compiled));
    for (const path of matching) assert.equal(compiled.value.matches(path), true, path);
    for (const path of other) assert.equal(compiled.value.matches(path), false, path);
  });

test('what is no template is refused with the reason', () => {
  const bad: readonly [string, RegExp][] = [
    ['a', /begin with/], ['/a b', /visible/], ['/a//b', /empty segment/], ['/a*b/c', /must be/], ['/*b/c', /nothing may follow/], ['/**/*', /may follow/], ['/**/{x}', /may follow/], ['/{x}/{x}', /twice/],
    ['/{1x}', /not a variable/], ['/{a}/{b}/{c}/{d}/{e}/{f}', /more than 5/], ['/{x=a//b}', /literal/], ['/{x', /must be/],
  ];
  for (const [template, reason] of bad) {
    const compiled = compileUriTemplate(template, 'p');
    assert.ok(!compiled.ok, template);
    assert.equal(compiled.error[0]?.path, 'p');
    assert.match(compiled.error[0]?.message ?? '', reason, template);
  }
});
