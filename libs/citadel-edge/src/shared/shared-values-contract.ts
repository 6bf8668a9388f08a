import assert from 'node:assert/strict';
import type { SharedValues } from './shared-values.ts';

/** What a storage of shared values must do, whatever it is made of: each case gets an empty one, through two clients. */
export const sharedValuesContract: Readonly<Record<string, (one: SharedValues, two: SharedValues) => Promise<void>>> = {
  'starts empty': async (one) => {
    assert.equal(await one.get('authority'), undefined);
    assert.equal(await one.revision('authority'), undefined);
    assert.deepEqual(await one.list('tokens/'), []);
    await one.remove(['authority', 'tokens/ab']);
  },

  'what one puts, the other gets, with the same revision': async (one, two) => {
    assert.equal(await one.put('authority', 'first', { revision: undefined }), 'saved');
    const kept = await two.get('authority');
    assert.equal(kept?.value, 'first');
    assert.equal(await one.revision('authority'), kept.revision);
    assert.equal(await two.put('authority', 'second', { revision: kept.revision }), 'saved');
    assert.equal((await one.get('authority'))?.value, 'second');
    assert.notEqual(await one.revision('authority'), kept.revision);
  },

  'nobody replaces what he has not seen': async (one, two) => {
    assert.equal(await one.put('authority', 'first', { revision: undefined }), 'saved');
    const seen = await two.revision('authority');
    assert.equal(await two.put('authority', 'theirs', { revision: undefined }), 'conflict');
    assert.equal(await one.put('authority', 'second', { revision: seen }), 'saved');
    assert.equal(await two.put('authority', 'theirs', { revision: seen }), 'conflict');
    assert.equal(await two.put('issuers', 'theirs', { revision: seen }), 'conflict');
    assert.equal((await one.get('authority'))?.value, 'second');
    assert.equal(await one.get('issuers'), undefined);
  },

  'of many at once exactly one wins': async (one, two) => {
    for (const revision of [undefined, 'the next'] as const) {
      const expected = revision === undefined ? undefined : await one.revision('authority');
      const outcomes = await Promise.all(Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? one : two).put('authority', `${revision} ${index}`, { revision: expected })));
      assert.equal(outcomes.filter((outcome) => outcome === 'saved').length, 1);
      assert.equal((await two.get('authority'))?.value, `${revision} ${outcomes.indexOf('saved')}`);
    }
  },

  'a fence of no term under way holds every write back': async (one) => {
    assert.equal(await one.put('authority', 'first', { revision: undefined, fence: '12345' }), 'conflict');
    assert.equal(await one.get('authority'), undefined);
  },

  'lists by prefix, and removes': async (one, two) => {
    const names = Array.from({ length: 130 }, (_, index) => `tokens/${index.toString(16).padStart(64, '0')}`);
    await Promise.all(names.map((name) => one.put(name, `value of ${name}`, { revision: undefined })));
    await one.put('tokenserver', 'another', { revision: undefined });
    const listed = await two.list('tokens/');
    assert.deepEqual(listed.map(({ name }) => name).sort(), names);
    assert.ok(listed.every(({ name, value }) => value === `value of ${name}`));
    assert.deepEqual([...(await two.names('tokens/'))].sort(), names);
    await two.remove(names.slice(0, 129));
    assert.deepEqual((await one.list('tokens/')).map(({ name }) => name), names.slice(129));
    assert.equal((await one.get('tokenserver'))?.value, 'another');
  },
};
