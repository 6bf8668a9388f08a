import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { codeListFile } from './analysis-codes.ts';
import { staleFiles } from './crds.ts';

const repository = join(import.meta.dirname, '../..');

test('the guide lists the codes of meltemi analyze as they are: npm run generate', () => {
  const files = codeListFile(repository);
  assert.deepEqual(staleFiles(repository, files), []);
  assert.equal([...files.values()][0]?.match(/^\| \[IST\d{4}\]/gm)?.length, 68);
});
