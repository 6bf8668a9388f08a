import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestHead, StreamInfo, unknownConnection } from '@meltemi/http';
import { compileCustomTags } from './custom-tags.ts';

function compiled(value: string) {
  const refused: string[] = [];
  const report = { refuse: (path: string) => void refused.push(path), warn: () => undefined };
  const tags = compileCustomTags([{ tag: 'a', type: { $case: 'value', value } }], 'p', report as unknown as Parameters<typeof compileCustomTags>[2]);
  return { refused, tags };
}

test('a tag by a format is printed as in access logs, and empty where there is nothing', () => {
  const info = new StreamInfo(unknownConnection, 0, 0);
  info.request = new RequestHead('GET', '/a', 'reviews');
  info.request.headers.set('x-user', 'jason');
  const print = (format: string) => compiled(format).tags[0]?.value(info, () => undefined);
  assert.equal(print('%REQ(X-USER)% %REQ(:METHOD)%'), 'jason GET');
  assert.equal(print('%REQ(X-NOBODY)%'), '');
});

test('a format that cannot be read is refused by its field', () => {
  assert.deepEqual(compiled('%NOT_A_COMMAND%').refused, ['p[0].value']);
});
