import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { labelIndex, selectorIndex } from './label-index.ts';
import { selects } from './selects.ts';

/** Every map of at most two of the labels a and b with the values 1 and 2. */
const maps = ['', '1', '2'].flatMap((a) => ['', '1', '2'].map((b) => ({ ...(a === '' ? {} : { a }), ...(b === '' ? {} : { b }) })));

describe('what selectors select, by an index', () => {
  it('is what holding the selector against each finds, in the same order', () => {
    const things = [...maps, ...maps.toReversed()];
    const byLabels = labelIndex(things, (labels) => labels);
    const bySelectors = selectorIndex(things, (selector) => selector);
    for (const one of maps) {
      assert.deepEqual(byLabels.selectedBy(one), things.filter((labels) => selects(one, labels)));
      assert.deepEqual(bySelectors.selecting(one), things.filter((selector) => selects(selector, one)));
    }
  });

  it('is nothing where a label of the selector is on nothing', () => {
    assert.deepEqual(labelIndex(maps, (labels) => labels).selectedBy({ a: '1', nowhere: 'x' }), []);
  });
});
