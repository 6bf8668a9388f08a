import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HeaderMap } from './header-map.ts';
import { RequestHead, ResponseHead } from './heads.ts';

test('fields are read, joined, replaced and removed in order', () => {
  const map = new HeaderMap(['a', '1', 'b', '2', 'a', '3', 'c', '4']);
  assert.equal(map.get('a'), '1');
  assert.equal(map.getAll('a'), '1,3');
  assert.deepEqual(map.values('a'), ['1', '3']);
  assert.equal(map.get('x'), null);
  map.set('a', '9');
  assert.deepEqual(map.flat, ['a', '9', 'b', '2', 'c', '4']);
  map.set('d', '5');
  assert.equal(map.remove('b'), true);
  assert.equal(map.remove('b'), false);
  assert.deepEqual([...map], [['a', '9'], ['c', '4'], ['d', '5']]);
});

test('set and remove agree with a plain model', () => {
  const name = fc.constantFrom('a', 'b', 'c');
  const step = fc.tuple(fc.constantFrom('add', 'set', 'remove'), name, fc.string());
  fc.assert(fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
    const map = new HeaderMap();
    let model: [string, string][] = [];
    for (const [action, key, value] of steps) {
      if (action === 'add') {
        map.add(key, value);
        model.push([key, value]);
      } else if (action === 'remove') {
        map.remove(key);
        model = model.filter(([k]) => k !== key);
      } else {
        map.set(key, value);
        const at = model.findIndex(([k]) => k === key);
        model = model.filter(([k], i) => k !== key || i === at);
        if (at < 0) model.push([key, value]);
        else model[model.findIndex(([k]) => k === key)] = [key, value];
      }
    }
    assert.deepEqual([...map], model);
  }));
});

test('heads give pseudo headers like fields', () => {
  const request = new RequestHead('GET', '/x', 'a.example', HeaderMap.from({ 'X-A': '1' }));
  assert.deepEqual([':method', ':path', ':authority', 'host', 'x-a', ':nope', 'y'].map((name) => request.field(name)), ['GET', '/x', 'a.example', 'a.example', '1', null, null]);
  assert.equal(new ResponseHead(204).field(':status'), '204');
});
