import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decode } from './decode.ts';
import { toRawObject } from './envelope.ts';
import { validateDocuments } from './documents/validate.ts';
import { kinds } from './kinds/registry.ts';

const runs = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 300) };

// JSON whose keys are often fields that exist, so that it gets past the first unknown one.
const names = [...new Set(kinds.flatMap((kind) => kind.schema.fields ?? [])), 'match', 'route', 'destination', 'host', 'port', 'number', 'weight', 'tls', 'mode', 'labels', 'name', 'fault', 'delay', '__proto__'];
const json = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 5 }, fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.constantFrom('1s', '*', 'a.b', 'HTTP', '10.0.0.1/8'), fc.array(tie('value'), { maxLength: 3 }), tie('map')),
  map: fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), tie('value'), { maxKeys: 6 }),
})).value;

test('decoding any JSON as any kind gives a result, never an exception', () => {
  fc.assert(
    fc.property(fc.constantFrom(...kinds), json, json, (kind, spec, metadata) => {
      const apiVersion = kind.group === '' ? (kind.versions[0] ?? '') : `${kind.group}/${kind.versions[0]}`;
      const raw = toRawObject({ apiVersion, kind: kind.kind, metadata, spec, ...(typeof spec === 'object' ? spec : {}) });
      if (!raw.ok) return;
      const result = decode(raw.value);
      assert.ok(result.ok || result.error.length > 0);
    }),
    runs,
  );
});

test('any text gives entries, never an exception', () => {
  const yamlish = fc.array(fc.constantFrom('a', ': ', '- ', '\n', '  ', '[', ']', '{', '}', '&x ', '*x', '"', "'", '|', '>', '---\n', '...', '# ', '? ', '!!str ', '<<', '%YAML', '\t', ','), { maxLength: 60 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), yamlish), (text) => {
      for (const entry of validateDocuments(text, 'f')) assert.equal(entry.valid, entry.errors.length === 0);
    }),
    runs,
  );
});
