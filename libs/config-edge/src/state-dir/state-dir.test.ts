import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { waitFor, withDeadline } from '@meltemi/base';
import { keyOf, must, Recorder, route, storeContract, weight } from '@meltemi/config/testing';
import { openStateDir, type StateDirOpened, type StateDirOptions } from './open-state-dir.ts';

const directories: string[] = [];
after(() => Promise.all(directories.map((directory) => rm(directory, { recursive: true, force: true }))));

async function freshDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'meltemi-state-'));
  directories.push(directory);
  return directory;
}

async function opened(directory: string, options: Partial<StateDirOptions> = {}): Promise<StateDirOpened> {
  const result = await openStateDir({ directory, ...options });
  if (!result.ok) assert.fail(result.error);
  return result.value;
}

storeContract('the state directory', async () => {
  const { store, compact } = await opened(await freshDirectory());
  return { store, compact: async () => compact(), another: async () => store, stop: () => store.close() };
});

storeContract('the state directory that folds its journal at every write', async () => {
  const { store, compact } = await opened(await freshDirectory(), { maxJournalBytes: 1 });
  return { store, compact: async () => compact(), another: async () => store, stop: () => store.close() };
});

void describe('a state directory', () => {
  void test('holds everything, statuses and versions included, when opened again', async () => {
    const directory = await freshDirectory();
    for (const maxJournalBytes of [1, 1 << 20]) {
      const first = await opened(directory, { maxJournalBytes });
      must(await first.store.commit([{ type: 'put', object: route('n', 'a', 1) }, { type: 'put', object: route('n', 'b', 1) }]));
      must(await first.store.commit([{ type: 'delete', key: keyOf('n', 'b') }, { type: 'put', object: route('n', 'a', 2) }]));
      must(await first.store.status.write([{ key: keyOf('n', 'a'), record: { status: { ok: maxJournalBytes }, lastGood: route('n', 'a', 2) } }]));
      const before = must(await first.store.list());
      const statuses = must(await first.store.status.list());
      await first.store.close();
      const second = await opened(directory);
      assert.deepEqual(must(await second.store.list()), before);
      assert.deepEqual(must(await second.store.status.list()), statuses);
      assert.equal(second.recovered, undefined);
      const watch = new Recorder(second.store, { from: before.version });
      must(await second.store.commit([{ type: 'put', object: route('n', 'a', 3) }]));
      const put = await watch.until((each) => each.type === 'put');
      assert.equal(put.type === 'put' && Number(put.version), Number(before.version) + 1);
      await watch.stop();
      await second.store.close();
    }
  });

  void test('is readable by its owner only', async () => {
    const directory = join(await freshDirectory(), 'made');
    const { store } = await opened(directory, { maxJournalBytes: 1 });
    for (let n = 1; n < 4; n += 1) must(await store.commit([{ type: 'put', object: route('n', 'a', n) }]));
    assert.equal((await stat(directory)).mode & 0o777, 0o700);
    assert.deepEqual((await readdir(directory)).sort((a, b) => a.localeCompare(b)), ['journal', 'lock', 'snapshot']);
    for (const name of await readdir(directory)) assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600, name);
    await store.close();
  });

  void test('drops a torn last record, keeps its bytes aside, and goes on', async () => {
    const directory = await freshDirectory();
    const first = await opened(directory);
    must(await first.store.commit([{ type: 'put', object: route('n', 'a', 1) }]));
    must(await first.store.commit([{ type: 'put', object: route('n', 'a', 2) }]));
    await first.store.close();
    const journal = await readFile(join(directory, 'journal'));
    await writeFile(join(directory, 'journal'), journal.subarray(0, journal.length - 7));
    const second = await opened(directory);
    assert.match(second.recovered ?? '', /dropped \d+ bytes .* kept in .*journal\.dropped-/);
    assert.equal(weight(must(await second.store.get(keyOf('n', 'a')))), 1);
    must(await second.store.commit([{ type: 'put', object: route('n', 'a', 3) }]));
    await second.store.close();
    const third = await opened(directory);
    assert.equal(third.recovered, undefined);
    assert.equal(weight(must(await third.store.get(keyOf('n', 'a')))), 3);
    await third.store.close();
  });

  void test('reads a journal that repeats what the snapshot has, as a crash between the two leaves it', async () => {
    const directory = await freshDirectory();
    const first = await opened(directory);
    for (let n = 1; n < 5; n += 1) must(await first.store.commit([{ type: 'put', object: route('n', 'a', n) }]));
    await first.store.close();
    const journal = await readFile(join(directory, 'journal'));
    const folded = await opened(directory, { maxJournalBytes: 1 });
    must(await folded.store.status.write([{ key: keyOf('n', 'a'), record: { status: {} } }]));
    await folded.store.close();
    await writeFile(join(directory, 'journal'), journal);
    const again = await opened(directory);
    assert.equal(must(await again.store.list()).version, '4');
    assert.equal(weight(must(await again.store.get(keyOf('n', 'a')))), 4);
    await again.store.close();
  });

  void test('refuses a damaged snapshot and leaves it as it is', async () => {
    const directory = await freshDirectory();
    await writeFile(join(directory, 'snapshot'), '00000000 {"version":1}\n');
    const result = await openStateDir({ directory });
    assert.match(result.ok ? '' : result.error, /snapshot is damaged/);
    assert.equal(await readFile(join(directory, 'snapshot'), 'utf8'), '00000000 {"version":1}\n');
  });

  void test('has one writer: a second is refused with the pid of the first, and may open after it closed', async () => {
    const directory = await freshDirectory();
    const { store } = await opened(directory);
    const twice = await openStateDir({ directory });
    assert.match(twice.ok ? '' : twice.error, new RegExp(`is in use by process ${process.pid}`));
    const child = spawn(process.execPath, [join(import.meta.dirname, 'crash-writer.fixture.ts'), directory], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
    const [code] = (await withDeadline(once(child, 'close'), 20_000, 'the second process')) as [number];
    assert.equal(code, 1);
    assert.match(said, new RegExp(`is in use by process ${process.pid}: stop it`));
    await store.close();
    await (await opened(directory)).store.close();
  });

  void test('takes over the lock of a process that is gone, or whose pid somebody else has now', async () => {
    const directory = await freshDirectory();
    for (const lock of ['999999999 1@boot abc\n', `${process.pid} 1@another-boot abc\n`, '', 'garbage']) {
      await writeFile(join(directory, 'lock'), lock);
      await (await opened(directory)).store.close();
    }
  });

  void test('lets only one of many that start together have it, also where a process died while taking it over', async () => {
    const dead = '999999999 1@boot abc\n';
    for (let round = 0; round < 25; round += 1) {
      const directory = await freshDirectory();
      await writeFile(join(directory, 'lock'), dead);
      if (round % 2 === 1) {
        const claim = `lock.claim-${createHash('sha256').update(dead).digest('hex').slice(0, 16)}`;
        await writeFile(join(directory, claim), '999999998 1@boot def\n');
      }
      const results = await Promise.all(Array.from({ length: 8 }, () => openStateDir({ directory })));
      const winners = results.flatMap((result) => (result.ok ? [result.value] : []));
      assert.equal(winners.length, 1, results.map((result) => (result.ok ? 'won' : result.error)).join('\n'));
      assert.deepEqual((await readdir(directory)).filter((name) => name.startsWith('lock')), ['lock']);
      await winners[0]?.store.close();
    }
  });

  void test('survives SIGKILL in the middle of writes: every acknowledged commit is there, none half', async () => {
    const directory = await freshDirectory();
    let acknowledged = 0;
    for (let round = 0; round < 4; round += 1) {
      acknowledged = await writeAndKill(directory, acknowledged + 1, 25 + round * 17);
      const { store } = await opened(directory);
      const [left, right] = [must(await store.get(keyOf('crash', 'left'))), must(await store.get(keyOf('crash', 'right')))];
      assert.ok(weight(left) >= acknowledged, `acknowledged ${acknowledged}, found ${weight(left)}`);
      assert.equal(weight(right), weight(left));
      assert.equal(right?.resourceVersion, left?.resourceVersion);
      assert.equal(weight(must(await store.get(keyOf('crash', `n${weight(left) % 50}`)))), weight(left));
      acknowledged = weight(left);
      await store.close();
    }
  });

  void test('refuses a write when the disk is full, keeps what was there, and writes again when it is not', async () => {
    const directory = await freshDirectory();
    // A limit on the size of a file stands for a full disk: the record that crosses it is written in part, then refused.
    const script = join(import.meta.dirname, 'full-disk-writer.fixture.ts');
    const child = spawn('bash', ['-c', 'ulimit -f 16; exec "$0" "$@"', process.execPath, script, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()));
    await withDeadline(once(child, 'close'), 20_000, 'the writer');
    const { acknowledged, refusals, after: small } = JSON.parse(said) as { acknowledged: number; refusals: string[]; after: boolean };
    assert.ok(acknowledged > 3);
    assert.match(refusals[0] ?? '', /cannot write .*journal: /);
    assert.equal(small, true);
    const { store, recovered } = await opened(directory);
    assert.equal(recovered, undefined);
    assert.equal(weight(must(await store.get(keyOf('n', 'large')))), acknowledged);
    assert.equal(weight(must(await store.get(keyOf('n', 'small')))), 1);
    must(await store.commit([{ type: 'put', object: route('n', 'large', 99, 'x'.repeat(3000)) }]));
    await store.close();
  });
});

/** Runs the writer until it acknowledged `count` commits, kills it, and gives the last number it acknowledged. */
async function writeAndKill(directory: string, first: number, count: number): Promise<number> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'crash-writer.fixture.ts'), directory, String(first)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()));
  const exited = once(child, 'close');
  try {
    await waitFor(`${count} commits`, () => said.split('\n').length > count, { deadlineMs: 30_000, everyMs: 1 });
  } finally {
    child.kill('SIGKILL');
    await withDeadline(exited, 10_000, 'the killed writer');
  }
  return Number(said.split('\n').at(-2));
}
