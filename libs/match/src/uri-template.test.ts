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

test('a path is rewritten from what its variables were', () => {
  const rows: readonly [template: string, rewrite: string, path: string, expected: string][] = [
    ['/{kind}/{id}', '/{id}/{kind}', '/books/7', '/7/books'],
    ['/shop/{lang=l/*}/*', '/{lang}', '/shop/l/en/page', '/l/en'],
    ['/files/{rest=**}', '/store/{rest}/{rest}', '/files/a/b', '/store/a/b/a/b'],
    ['/talks/{id}/{name}.vtt', '/{name}/{id}.vtt', '/talks/9/$intro.vtt', '/$intro/9.vtt'],
    ['/a/*', '/fixed', '/a/b', '/fixed'],
  ];
  for (const [template, rewrite, path, expected] of rows) {
    const compiled = compileUriTemplate(template, 'm');
    assert.ok(compiled.ok && compiled.value.matches(path), template);
    const rewriter = compiled.value.rewriter(rewrite, 'r');
    assert.ok(rewriter.ok, JSON.stringify(rewriter));
    assert.equal(rewriter.value.rewrite(path), expected);
  }
});

test('a rewrite that no path could be made of is refused', () => {
  const compiled = compileUriTemplate('/{a}/*', 'm');
  assert.ok(compiled.ok);
  for (const bad of ['{a}', '/{b}', '/{a', '/a//b', '/a b', '/a?b']) assert.equal(compiled.value.rewriter(bad, 'r').ok, false, bad);
});
