import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestHead, StreamInfo, unknownConnection, type FormatOptions } from '@meltemi/http';
import { compileCustomTags } from './custom-tags.ts';
import { Report } from './report.ts';

function compiled(value: string, formats: FormatOptions = {}) {
  const report = new Report(formats);
  const tags = compileCustomTags([{ tag: 'a', type: { $case: 'value', value } }], 'p', report);
  return { refused: report.errors.map(({ path }) => path), tags };
}

test('a tag by a format is printed as in access logs, and empty where there is nothing', () => {
  const info = new StreamInfo(unknownConnection, 0, 0);
  info.request = new RequestHead('GET', '/a', 'reviews');
  info.request.headers.set('x-user', 'jason');
  const print = (format: string) => compiled(format).tags[0]?.value(info, () => undefined);
  assert.equal(print('%REQ(X-USER)% %REQ(:METHOD)%'), 'jason GET');
  assert.equal(print('%REQ(X-NOBODY)%'), '');
  info.request.headers.set('x-user', Buffer.from('José').toString('latin1'));
  assert.equal(print('é %REQ(X-USER)%'), 'é José');
});

test('a format that cannot be read is refused by its field', () => {
  assert.deepEqual(compiled('%NOT_A_COMMAND%').refused, ['p[0].value']);
});

test('a tag may say what the process knows', () => {
  const info = new StreamInfo(unknownConnection, 0, 0);
  const { tags } = compiled('%ENVIRONMENT(POD)% on %HOSTNAME%', { hostname: 'box', environment: { POD: 'reviews-1' } });
  assert.equal(tags[0]?.value(info, () => undefined), 'reviews-1 on box');
});
