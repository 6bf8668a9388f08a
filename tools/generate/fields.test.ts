import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fieldSupport, supportedKinds } from '@meltemi/config';
import { staleFiles } from './crds.ts';
import { fieldFiles } from './fields.ts';

const repository = join(import.meta.dirname, '../..');

test('apps/docs/fields.md is what the support table says', () => {
  assert.deepEqual(staleFiles(repository, fieldFiles()), [], 'run: npm run generate');
});

test('a field that is said to work has a name that pilot, or the proxy that runs a probe, reads somewhere', () => {
  const readers = ['libs/pilot/src', 'libs/pilot-edge/src', 'apps/pilot/src', 'libs/config/src/kinds/gateway-api', 'libs/proxy/src/readiness'].map((path) => join(repository, path));
  const words = new Set(readers.flatMap(sources).flatMap((file) => readFileSync(file, 'utf8').match(/[A-Za-z_]\w*/g) ?? []));
  const unread = supportedKinds().flatMap((kind) =>
    fieldSupport(kind)
      .filter((field) => field.support === 'works' && field.byValue.length === 0 && !takenWhole.some((path) => field.path.startsWith(path)))
      .filter((field) => !words.has(/(\w+)$/.exec(field.path)?.[1] ?? ''))
      .map((field) => `${kind.kind} ${field.path}`),
  );
  assert.deepEqual(unread, [], 'nobody reads these: list them in libs/config/src/support');
});

/** Messages that go into a resource as they are, so that nobody names their fields. */
const takenWhole = ['extensionProviders[].envoyExtAuthzHttp.includeRequestBodyInCheck', 'extensionProviders[].envoyExtAuthzGrpc.includeRequestBodyInCheck'];

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/\.test\.ts$|testing\//.test(name))
    .map((name) => join(folder, name));
}
