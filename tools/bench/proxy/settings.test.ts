import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSettings } from './settings.ts';

test('a command line that cannot be run says what is wrong with it and ends with 2', (t) => {
  const said: string[] = [];
  t.mock.method(console, 'error', (text: string) => said.push(text));
  for (const [args, why] of [
    [['--case', 'sidecar-pair,plain'], /^--case sidecar-pair: not known; there are plain, /],
    [['--only', 'meltemi,apache'], /^--only apache: not known; there are .*nginx/],
    [['--rounds', '0'], /^--rounds 0: must be a whole number above zero/],
    [['--secs', '4'], /--secs/],
  ] as const) {
    said.length = 0;
    assert.equal(readSettings([...args]), 2);
    assert.match(said.join(''), why);
  }
});
