import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseQuery, type DnsQuery } from './query.ts';
import { answerOf, cutTo, failureOf, isAnswerTo, isTruncated, refusalOf, withId, type DnsRecord } from './reply.ts';

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const head = '1234 0100 0001 0000 0000 0000';
/** wWw.example.com, A, IN */
const question = '03775777 076578616d706c65 03636f6d 00 0001 0001';
const opt = '00 0029 1000 00000000 0000';

function queryOf(text: string): DnsQuery {
  const parsed = parseQuery(hex(text));
  if (parsed.kind !== 'query') throw new Error(parsed.kind);
  return parsed.query;
}

test('a query is read: the name in lower case, what EDNS offers, the question as it came', () => {
  const plain = queryOf(head + question);
  assert.deepEqual({ ...plain, question: Buffer.from(plain.question).toString('hex') }, { id: 0x1234, name: 'www.example.com.', type: 1, class: 1, question: question.replaceAll(' ', ''), recursionDesired: true, checkingDisabled: false, edns: false, udpBytes: 512 });
  const edns = queryOf(`1234 0110 0001 0000 0000 0001 ${question} ${opt}`);
  assert.deepEqual([edns.edns, edns.udpBytes, edns.checkingDisabled], [true, 4096, true]);
});

for (const [what, text, kind] of [
  ['an answer', `1234 8100 0001 0000 0000 0000 ${question}`, 'ignored'],
  ['less than a header', '1234 0100 0001', 'ignored'],
  ['another operation', `1234 2800 0001 0000 0000 0000 ${question}`, 'refused 4'],
  ['no question', '1234 0100 0000 0000 0000 0000', 'refused 1'],
  ['two questions', `1234 0100 0002 0000 0000 0000 ${question} ${question}`, 'refused 1'],
  ['a pointer in the question', `${head} c00c 0001 0001`, 'refused 1'],
  ['a name without end', `${head} 03777777`, 'refused 1'],
  ['a label of 64 bytes', `${head} 40 ${'61'.repeat(64)} 00 0001 0001`, 'refused 1'],
  ['a name of more than 255 bytes', `${head} ${`3f ${'61'.repeat(63)}`.repeat(4)} 00 0001 0001`, 'refused 1'],
  ['many records', `1234 0100 0001 0000 0000 0003 ${question} ${opt} ${opt} ${opt}`, 'refused 1'],
  ['a record that is cut', `1234 0100 0001 0000 0000 0001 ${question} 00 0029 1000 00000000 0004`, 'refused 1'],
] as const)
  test(`${what} is no query`, () => {
    const parsed = parseQuery(hex(text));
    assert.equal(parsed.kind === 'refused' ? `refused ${parsed.code}` : parsed.kind, kind);
  });

test('a refusal has the id, and no question', () => {
  assert.deepEqual([...refusalOf(hex(`${head} c00c 0001 0001`), 1)], [0x12, 0x34, 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test('an answer: the question as it was asked, names written once, TTL 30, EDNS for who spoke it', () => {
  const records: DnsRecord[] = [{ name: 'www.example.com.', type: 5, target: 'b.example.com.' }, { name: 'b.example.com.', type: 1, address: Uint8Array.of(192, 0, 2, 1) }];
  const answer = answerOf(queryOf(`1234 0100 0001 0000 0000 0001 ${question} ${opt}`), records, 512);
  assert.equal(Buffer.from(answer).toString('hex'), `1234 8580 0001 0002 0000 0001 ${question} c00c 0005 0001 0000001e 000f 01 62 076578616d706c65 03636f6d 00 c02d 0001 0001 0000001e 0004 c0000201 00 0029 04d0 00000000 0000`.replaceAll(' ', ''));
});

test('what does not fit is left out, whole records only, and the client is told', () => {
  const records: DnsRecord[] = Array.from({ length: 50 }, (_, i) => ({ name: 'www.example.com.', type: 1, address: Uint8Array.of(192, 0, 2, i) }));
  const query = queryOf(head + question);
  const small = answerOf(query, records, 512);
  assert.ok(small.length <= 512 && small.length > 512 - 16);
  assert.deepEqual([isTruncated(small), small[7]], [true, Math.floor((512 - 12 - query.question.length) / 16)]);
  assert.deepEqual([isTruncated(answerOf(query, records, 4096)), answerOf(query, records, 4096)[7]], [false, 50]);
});

test('an upstream’s answer counts only under the id and for the question that was asked, in whatever case', () => {
  const { question: asked } = queryOf(head + question);
  const answer = hex(`1234 8180 0001 0000 0000 0000 03777777 076558616d706c65 03636f6d 00 0001 0001`);
  assert.equal(isAnswerTo(answer, 0x1234, asked), true);
  assert.equal(isAnswerTo(answer, 0x1235, asked), false);
  assert.equal(isAnswerTo(hex(head + question), 0x1234, asked), false, 'a query');
  assert.equal(isAnswerTo(hex(`1234 8180 0001 0000 0000 0000 ${question.replace('0001 0001', '001c 0001')}`), 0x1234, asked), false, 'another type');
  assert.equal(isAnswerTo(hex('1234 8181 0000 0000 0000 0000'), 0x1234, asked), true, 'it could not read the question');
  assert.equal(isAnswerTo(hex('1234 8180 0000 0000 0000 0000'), 0x1234, asked), false, 'no error, no question');
  assert.deepEqual([...withId(answer, 7).subarray(0, 2)], [0, 7]);
});

test('a long answer is cut behind a whole record; a broken one is not', () => {
  const records: DnsRecord[] = Array.from({ length: 50 }, (_, i) => ({ name: 'www.example.com.', type: 1, address: Uint8Array.of(192, 0, 2, i) }));
  const query = queryOf(head + question);
  const long = answerOf(query, records, 4096);
  assert.deepEqual(cutTo(long, 512), answerOf(query, records, 512));
  assert.equal(cutTo(long, 4096), long);
  assert.equal(cutTo(long, 20), null);
  assert.equal(cutTo(hex(`${head} 3f 61`), 13), null);
});

test('a failure repeats the question', () => {
  const query = queryOf(head + question);
  assert.deepEqual([isAnswerTo(failureOf(query, 2), 0x1234, query.question), failureOf(query, 2)[3]], [true, 0x82]);
});
