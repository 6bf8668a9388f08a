import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock, waitFor } from '@meltemi/base';
import { MemoryValues } from '../shared/memory-values.ts';
import { SecretClaim, type SecretClaimOptions } from './secret-claim.ts';

const lapseMs = 400;
const options = (values: MemoryValues, told?: SecretClaimOptions['onChange']): SecretClaimOptions => ({ values, clock: systemClock, renewMs: 50, lapseMs, onChange: told });

/** Does what it is asked, and loses the next answer. */
class LossyValues extends MemoryValues {
  lose: 'to a write' | 'to a look' | undefined;

  override async get(name: string): ReturnType<MemoryValues['get']> {
    return this.#answer('to a look', await super.get(name));
  }

  override async put(...args: Parameters<MemoryValues['put']>): ReturnType<MemoryValues['put']> {
    return this.#answer('to a write', await super.put(...args));
  }

  #answer<T>(call: LossyValues['lose'], answer: T): T {
    if (this.lose !== call) return answer;
    this.lose = undefined;
    throw new Error('no answer');
  }
}

test('while one program owns the keystore a second is refused by name; when it stops, the next has it at once', async () => {
  const values = new MemoryValues();
  const told: string[] = [];
  const first = await SecretClaim.take(options(values, (leads, reason) => told.push(`${leads} ${reason}`)));
  assert.ok(first.term());
  assert.equal((await first.acquire(AbortSignal.timeout(1000))).fence, '');
  await assert.rejects(SecretClaim.take(options(values)), new RegExp(`a citadel runs on it \\(.*process ${process.pid}.*only one may: stop it first`));
  assert.ok(first.term());
  await first.stop();
  assert.equal(first.term(), undefined);
  assert.deepEqual(told, ['true the only one', 'false citadel stops']);
  assert.equal(values.stored.size, 0);
  await (await SecretClaim.take(options(values))).stop();
});

test('the claim of one that was killed is taken over when it has lapsed, and not before', async () => {
  const values = new MemoryValues();
  await values.put('running', '{"owner":"gone"}', { revision: undefined });
  const begun = performance.now();
  const claim = await SecretClaim.take(options(values));
  assert.ok(performance.now() - begun >= lapseMs);
  await claim.stop();
});

test('who cannot renew ends its term before another could take over, and begins no other', async () => {
  const values = new MemoryValues();
  const told: string[] = [];
  const claim = await SecretClaim.take(options(values, (leads, reason) => told.push(`${leads} ${reason}`)));
  const term = claim.term();
  assert.ok(term);
  values.put = () => Promise.reject(new Error('no answer'));
  const lastRevision = values.stored.get('running')?.revision;
  await waitFor('the end of the term', () => term.lost.aborted);
  assert.equal(values.stored.get('running')?.revision, lastRevision);
  await assert.rejects(claim.acquire(AbortSignal.timeout(1000)), /does not own its keystore any more: start it again/);
  assert.deepEqual(told.slice(1), ['false it could not be renewed in time']);
});

test('who does not learn what became of its own writes goes on owning the keystore', async () => {
  for (const answer of ['to a write', 'to a look'] as const) {
    const values = new LossyValues();
    const told: string[] = [];
    const claim = await SecretClaim.take(options(values, (leads, reason) => told.push(`${leads} ${reason}`)));
    values.lose = answer;
    await waitFor(`a lost answer ${answer}`, () => values.lose === undefined);
    const writes = (): number => Number(values.stored.get('running')?.revision);
    const before = writes();
    // The second shows that the first one knew the revision.
    await waitFor('two more renewals', () => claim.term() === undefined || writes() >= before + 2);
    assert.deepEqual([answer, ...told], [answer, 'true the only one']);
    await claim.stop();
    assert.equal(values.stored.size, 0);
  }
});

test('who was taken over from says so, and leaves the claim of the other alone', async () => {
  const values = new MemoryValues();
  const claim = await SecretClaim.take(options(values));
  const term = claim.term();
  await values.put('running', '{"owner":"other"}', { revision: values.stored.get('running')?.revision });
  await waitFor('the end of the term', () => term?.lost.aborted);
  assert.match(String(term?.lost.reason), /another program has taken the keystore over/);
  await claim.stop();
  assert.equal(values.stored.get('running')?.value, '{"owner":"other"}');
});

test('of two that start at the same moment one is refused', async () => {
  const values = new MemoryValues();
  const both = await Promise.allSettled([SecretClaim.take(options(values)), SecretClaim.take(options(values))]);
  assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  for (const each of both) if (each.status === 'fulfilled') await each.value.stop();
});
