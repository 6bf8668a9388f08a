import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { systemClock, waitFor } from '@meltemi/base';
import { FollowedFile } from './followed-file.ts';

async function following(run: (parts: { readonly path: string; readonly taken: string[]; readonly problems: string[]; readonly file: FollowedFile; readonly replace: (text: string) => void }) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'followed-'));
  const path = join(dir, 'settings');
  writeFileSync(path, 'first');
  const [taken, problems]: string[][] = [[], []];
  const file = new FollowedFile({
    path, maxBytes: 100, text: 'first', clock: systemClock, everyMs: 10, onTaken: () => undefined, onProblem: (reason) => problems?.push(reason),
    take: async (text) => {
      if (text.startsWith('bad')) throw new Error(`cannot use ${text}`);
      taken?.push(text);
    },
  }).start();
  try {
    await run({
      path, taken: taken ?? [], problems: problems ?? [], file,
      replace: (text) => {
        writeFileSync(`${path}.new`, text);
        renameSync(`${path}.new`, path);
      },
    });
  } finally {
    file.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

test('a replaced file is taken once, one that is bad, missing or too large is named once and changes nothing, and a good one mends it', () =>
  following(async ({ path, taken, problems, file, replace }) => {
    replace('second');
    await waitFor('the second', () => taken.length === 1);
    replace('bad third');
    await waitFor('the reason', () => problems.length === 1);
    assert.equal(file.problem, 'cannot use bad third');
    rmSync(path);
    await waitFor('the next reason', () => problems.length === 2);
    assert.match(file.problem, /ENOENT|missing/);
    replace('x'.repeat(101));
    await waitFor('the last reason', () => problems.length === 3);
    assert.match(file.problem, /the limit is 100/);
    // What was in force all the time: nothing to take.
    replace('second');
    await waitFor('that all is well', () => file.problem === '');
    replace('fourth');
    await waitFor('the fourth', () => taken.length === 2);
    assert.deepEqual([taken, problems.length], [['second', 'fourth'], 4]);
  }));

test('a file that could not be seen for a while and is the same as before is no problem any more, and a bad one is bad again', () =>
  following(async ({ path, taken, problems, file, replace }) => {
    const folder = dirname(path);
    const away = async (): Promise<void> => {
      // The folder, so that nothing of the file itself changes.
      renameSync(folder, `${folder}.away`);
      await waitFor('that it is missed', () => /ENOENT/.test(file.problem));
      renameSync(`${folder}.away`, folder);
    };
    replace('second');
    await waitFor('the second', () => taken.length === 1);
    await away();
    await waitFor('that all is well', () => file.problem === '');
    replace('bad third');
    await waitFor('the reason', () => file.problem === 'cannot use bad third');
    await away();
    await waitFor('the same reason', () => file.problem === 'cannot use bad third');
    assert.deepEqual([taken, problems.length], [['second'], 5]);
  }));

test('a link that leads to another file is followed, as Kubernetes replaces what it mounts', () =>
  following(async ({ path, taken }) => {
    writeFileSync(`${path}.v2`, 'linked');
    symlinkSync(`${path}.v2`, `${path}.link`);
    renameSync(`${path}.link`, path);
    await waitFor('what it leads to', () => taken.includes('linked'));
  }));
