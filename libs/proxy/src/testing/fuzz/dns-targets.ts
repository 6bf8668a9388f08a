import { HostNames } from '../../dns/host-names.ts';
import { parseQuery } from '../../dns/query.ts';
import { answerOf, cutTo, failureOf, isAnswerTo, isTruncated, refusalOf } from '../../dns/reply.ts';
import { same, type FuzzTarget } from './target.ts';

const message = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex').toString('latin1');
const query = message('1234 0100 0001 0000 0000 0000 03777777 076578616d706c65 03636f6d 00 0001 0001');
const withEdns = message('1234 0120 0001 0000 0000 0001 03777777 076578616d706c65 03636f6d 00 001c 0001 00 0029 1000 00000000 0000');
const reply = message('1234 8180 0001 0002 0000 0000 03777777 076578616d706c65 03636f6d 00 0001 0001 c00c 0005 0001 0000001e 0004 01 61 c010 c02d 0001 0001 0000001e 0004 c0000201');
const words = ['\xc0\x0c', '\xc0\xff', '\0', '\x3f', '\x40', '\xff', '\0\x29', '\0\x01', '\0\x1c', '\x80', '\x03www'];

const names = new HostNames({ '*.com': { ips: Array.from({ length: 60 }, (_, i) => `192.0.2.${i}`).concat('2001:db8::1'), registry: 'External', shortname: '', namespace: '', altHosts: [] } }, { namespace: 'default', domain: 'svc.cluster.local', search: ['example.com'] });

export const dnsQuery: FuzzTarget = {
  name: 'dns-query',
  about: 'DNS queries: no throw, and every answer of ours answers that question, in the room there is',
  seeds: [query, withEdns, reply],
  words,
  check: (input, draw) => {
    const parsed = parseQuery(input);
    if (parsed.kind === 'refused') same('the id of a refusal', refusalOf(input, parsed.code).subarray(0, 2).join(), input.subarray(0, 2).join());
    if (parsed.kind !== 'query') return;
    const limit = 512 + draw.below(2000);
    for (const answer of [answerOf(parsed.query, names.lookup(parsed.query.name, parsed.query.type) ?? [], limit), failureOf(parsed.query, 2)]) {
      if (!isAnswerTo(answer, parsed.query.id, parsed.query.question)) throw new Error('the answer answers something else');
      if (answer.length > limit) throw new Error(`${answer.length} bytes where ${limit} fit`);
    }
  },
};

export const dnsReply: FuzzTarget = {
  name: 'dns-reply',
  about: 'DNS answers of upstreams: no throw, cut to the room there is and marked so, and still the answer it was',
  seeds: [reply, query],
  words,
  check: (input, draw) => {
    const question = input.subarray(12, 12 + draw.below(30));
    const limit = 12 + draw.below(input.length + 1);
    const cut = cutTo(input, limit);
    if (cut === null) return;
    if (cut.length > Math.min(limit, input.length)) throw new Error(`cut to ${cut.length} bytes where ${limit} fit`);
    if (input.length > limit && !isTruncated(cut)) throw new Error('cut and not marked');
    if (cut.length >= 12 + question.length) same('cut it answers otherwise', String(isAnswerTo(cut, 0x1234, question)), String(isAnswerTo(input, 0x1234, question)));
  },
};
