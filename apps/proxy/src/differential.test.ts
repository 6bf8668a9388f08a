import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { mutatedRequests, readStrictly } from '@meltemi/proxy/testing';
import { haproxy, meltemi, nginx, places, type Outcome, type Peer } from './testing/differential-peers.ts';

let ours: Peer;
let others: readonly Peer[];
let running: readonly Peer[] = [];
/** Marks each try, so that what a busy proxy passes on late is not taken for part of the next. */
let tries = 0;

before(async () => {
  const starting = await Promise.allSettled([meltemi(), nginx(), haproxy()]);
  running = starting.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const failed = starting.find((each) => each.status === 'rejected');
  if (failed) throw failed.reason;
  [ours, ...others] = running as [Peer, Peer, Peer];
});
after(async () => {
  for (const peer of running) await peer.stop();
});

const busyQuietMs = 50;
const sureQuietMs = 1500;

/** Why the outcome of ours is wrong by itself: the backend must get what the client's bytes mean, and nothing else. */
function desync(bytes: string, { requests, doubled }: Outcome): string | null {
  const meant = readStrictly(bytes).filter((request) => request.complete);
  if (doubled.length > 0) return `a careless backend would read more than one request in ${JSON.stringify(doubled[0])}`;
  if (requests.length > meant.length) return `the backend got ${requests.length} requests, the client sent ${meant.length}`;
  const wrong = requests.findIndex((request, i) => request.method !== meant[i]?.method || request.body !== meant[i]?.body);
  return wrong < 0 ? null : `request ${wrong} arrived as ${JSON.stringify(requests[wrong])}, sent as ${JSON.stringify(meant[wrong])}`;
}

interface Judged {
  readonly complaint: string | null;
  /** Requests served by ours, and the most served by another. */
  readonly served: number;
  readonly most: number;
}

async function judge(seed: number, place: number, quietMs = busyQuietMs): Promise<Judged> {
  const mark = `?${String(++tries).padStart(11, '0')}`;
  const bytes = mutatedRequests(seed, mark);
  const [own, ...theirs] = await Promise.all([ours, ...others].map((peer) => peer.try(place, { bytes, mark, quietMs }))) as [Outcome, ...Outcome[]];
  const served = own.requests.length;
  const most = Math.max(...theirs.map(({ requests }) => requests.length));
  const wrong = desync(bytes, own) ?? (served > most ? `served ${served} where ${theirs.map(({ requests }, i) => `${others[i]?.name} served ${requests.length}`).join(' and ')}` : null);
  // On a busy machine the others may only have been slow: then a second look with much more time decides.
  if (wrong !== null && quietMs < sureQuietMs) return judge(seed, place, sureQuietMs);
  return { served, most, complaint: wrong && `seed ${seed}: ${wrong}; bytes ${JSON.stringify(bytes)}; answers ${JSON.stringify([own, ...theirs].map(({ answer }) => answer.slice(0, 60)))}` };
}

/** Runs `count` seeds from `first` on, as many side by side as there are places. */
async function judgeMany(first: number, count: number): Promise<Judged[]> {
  const found: Judged[] = [];
  let next = first;
  await Promise.all(Array.from({ length: places }, async (_, place) => {
    while (next < first + count) found.push(await judge(next++, place));
  }));
  return found;
}

test('what is in order is served by all three, whole and in order', async () => {
  const bytes = 'POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloPOST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n';
  for (const peer of running) {
    const { requests, answer } = await peer.try(0, { bytes, mark: '?', quietMs: sureQuietMs / 3 });
    assert.deepEqual(requests.map(({ method, target, body }) => `${method} ${target} ${body}`), ['POST /1 hello', 'POST /2 world', 'GET /3 '], peer.name);
    assert.equal(answer.match(/HTTP\/1\.1 200 /g)?.length, 3, peer.name);
  }
});

test('malformed heads and bodies: never more lenient than nginx and haproxy, and the backend gets what the bytes mean', async () => {
  const found = await judgeMany(1, 600);
  assert.deepEqual(found.flatMap(({ complaint }) => complaint ?? []), []);
  const refused = found.filter(({ served }) => served === 0).length;
  assert.ok(refused > 100 && refused < 550, `${refused} of ${found.length} refused: the corpus tells good from bad`);
});

test('the same for any seed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1_000, max: 2_000_000_000 }), async (first) => {
      const found = await judgeMany(first, places * 4);
      assert.deepEqual(found.flatMap(({ complaint }) => complaint ?? []), []);
    }),
    { numRuns: 2, endOnFailure: true },
  );
});
