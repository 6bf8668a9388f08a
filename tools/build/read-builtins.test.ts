import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { build, type Plugin } from 'esbuild';
import { readBuiltins } from './read-builtins.ts';

const program = `
  import { randomUUID } from 'node:crypto';
  import fs, { existsSync } from 'node:fs';
  import * as tls from 'node:tls';
  console.log(JSON.stringify({ works: randomUUID().length === 36 && existsSync('/') && fs.existsSync === existsSync && new tls.TLSSocket(null) instanceof tls.TLSSocket, loaded: process.moduleLoadList }));
`;

async function run(plugins: Plugin[]): Promise<{ readonly works: boolean; readonly loaded: readonly string[] }> {
  const { outputFiles: [bundle] } = await build({ stdin: { contents: program, loader: 'ts' }, bundle: true, platform: 'node', format: 'esm', write: false, plugins });
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', bundle?.text ?? '']);
  return JSON.parse(stdout) as { works: boolean; loaded: string[] };
}

const unasked = ['NativeModule internal/crypto/webcrypto', 'NativeModule internal/streams/fast-utf8-stream'];

test('a bundle loads of Node\'s own modules what it uses, not all that they export', async () => {
  const [plain, ours] = await Promise.all([run([]), run([readBuiltins])]);
  assert.ok(plain.works && ours.works);
  const loaded = ({ loaded: all }: { readonly loaded: readonly string[] }) => unasked.filter((name) => all.includes(name));
  assert.notDeepEqual(loaded(plain), []);
  assert.deepEqual(loaded(ours), []);
});
