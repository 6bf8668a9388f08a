import assert from 'node:assert/strict';
import { appendFile, mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { problemText, type SourceEvent } from '@meltemi/config';
import { directorySource, type DirectorySourceOptions } from './directory-source.ts';

/** A VirtualService document. */
function yaml(name: string, n = 1): string {
  return `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: ${name}\nspec:\n  weight: ${n}\n`;
}

/** Follows a source, keeps what is in force and what is wrong. */
class Follower {
  readonly events: SourceEvent[] = [];
  readonly #abort = new AbortController();
  readonly #pump: Promise<void>;
  readonly #root: string;

  constructor(root: string, options: Partial<DirectorySourceOptions> = {}) {
    this.#root = root;
    this.#pump = this.#run(directorySource({ directory: root, debounceMs: 5, settleMs: 30, rescanMs: 30_000, ...options }).watch(this.#abort.signal));
  }

  /** "a=1 b=2". */
  inForce(): string {
    const objects = new Map<string, unknown>();
    for (const event of this.events) {
      if (event.type === 'put') objects.set(event.object.key.name, (event.object.content['spec'] as { weight?: number } | undefined)?.weight);
      else if (event.type === 'delete') objects.delete(event.key.name);
    }
    return [...objects].map(([name, n]) => `${name}=${String(n)}`).sort((a, b) => a.localeCompare(b)).join(' ');
  }

  problems(): string[] {
    const problems = new Set<string>();
    for (const event of this.events) {
      if (event.type === 'problem') problems.add(problemText(event.problem).replaceAll(`${this.#root}/`, ''));
      else if (event.type === 'problem-cleared') problems.delete(problemText(event.problem).replaceAll(`${this.#root}/`, ''));
    }
    return [...problems];
  }

  async sees(inForce: string, problems: readonly RegExp[] = []): Promise<void> {
    await waitFor(
      `"${inForce}" and ${problems.length} problems, not "${this.inForce()}" and ${this.problems().join()}`,
      () => this.inForce() === inForce && this.problems().length === problems.length,
    ).catch((cause: unknown) => assert.fail(`${String(cause)}; now "${this.inForce()}" and ${this.problems().join()}`));
    for (const [index, problem] of problems.entries()) assert.match(this.problems()[index] ?? '', problem);
  }

  synced(): Promise<boolean> {
    return waitFor('sync', () => this.events.some((event) => event.type === 'synced'));
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#pump;
  }

  async #run(events: AsyncIterable<SourceEvent>): Promise<void> {
    for await (const event of events) this.events.push(event);
  }
}

void describe('a watched directory', () => {
  let root = '';
  let followers: Follower[] = [];
  const at = (...parts: string[]): string => join(root, ...parts);
  const follow = async (options: Partial<DirectorySourceOptions> = {}, directory = root): Promise<Follower> => {
    const follower = new Follower(directory, options);
    followers.push(follower);
    await follower.synced();
    return follower;
  };

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'meltemi-dir-'));
  });
  afterEach(async () => {
    for (const follower of followers) await follower.stop();
    followers = [];
    await rm(root, { recursive: true, force: true });
  });

  void test('tells every object of every YAML and JSON file with its place, then says so', async () => {
    await mkdir(at('deep', 'er'), { recursive: true });
    await writeFile(at('two.yaml'), `# a comment\n${yaml('a')}---\n${yaml('b')}---\n`);
    await writeFile(at('deep', 'er', 'c.yml'), yaml('c'));
    await writeFile(at('d.json'), JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'd' }, spec: { weight: 4 } }));
    await writeFile(at('notes.txt'), 'not: config');
    await writeFile(at('.hidden.yaml'), yaml('hidden'));
    const follower = await follow();
    assert.equal(follower.inForce(), 'a=1 b=1 c=1 d=4');
    assert.deepEqual(follower.problems(), []);
    assert.equal(follower.events.at(-1)?.type, 'synced');
    const b = follower.events.find((event) => event.type === 'put' && event.object.key.name === 'b');
    assert.deepEqual(b?.type === 'put' && b.location, { file: at('two.yaml'), line: 9, fieldLines: { 'spec.weight': 14 } });
  });

  void test('follows files that come, change, move and go, and puts nothing twice', async () => {
    const follower = await follow();
    await writeFile(at('a.yaml'), yaml('a'));
    await follower.sees('a=1');
    await writeFile(at('a.yaml'), yaml('a', 2));
    await follower.sees('a=2');
    await mkdir(at('sub'));
    await writeFile(at('sub', 'b.yaml'), yaml('b'));
    await follower.sees('a=2 b=1');
    await writeFile(at('sub', 'b.yaml'), yaml('b', 2));
    await follower.sees('a=2 b=2');
    await writeFile(at('sub', 'b.yaml'), yaml('b', 2));
    await unlink(at('a.yaml'));
    await follower.sees('b=2');
    await rm(at('sub'), { recursive: true });
    await follower.sees('');
    assert.deepEqual(follower.events.map((event) => (event.type === 'put' ? event.object.key.name : event.type)), ['synced', 'a', 'a', 'b', 'b', 'delete', 'delete']);
  });

  void test('keeps what a file had while it cannot be read, says where, and clears that when it can', async () => {
    await writeFile(at('a.yaml'), `${yaml('a')}---\n${yaml('b')}`);
    const follower = await follow();
    await writeFile(at('a.yaml'), `${yaml('a', 2)}---\nkind: 'unclosed\n`);
    await follower.sees('a=2 b=1', [/^a\.yaml:[89]: /]);
    await writeFile(at('a.yaml'), `${yaml('a', 3)}---\n${yaml('b', 3)}`);
    await follower.sees('a=3 b=3');
    await writeFile(at('a.yaml'), yaml('a', 4));
    await follower.sees('a=4');
  });

  void test('names what is no object with file and line, and keeps everything else', async () => {
    await writeFile(at('a.yaml'), yaml('a'));
    await writeFile(at('bad.yaml'), `${yaml('b')}---\nkind: Gateway\n---\n- a list\n---\napiVersion: v1\nkind: Pod\nmetadata: {}\n`);
    const follower = await follow();
    await follower.sees('a=1 b=1', [/^bad\.yaml:8: apiVersion/, /^bad\.yaml:10: /, /^bad\.yaml:14: metadata\.name/]);
  });

  void test('of two files with the same object the first in order of path wins, and the other is reported until it is alone', async () => {
    await writeFile(at('b.yaml'), yaml('x', 2));
    const follower = await follow();
    await follower.sees('x=2');
    await writeFile(at('a.yaml'), yaml('x', 1));
    await follower.sees('x=1', [/^b\.yaml:1: networking\.istio\.io\/VirtualService\/default\/x is also in a\.yaml:1, which comes first and wins/]);
    await unlink(at('a.yaml'));
    await follower.sees('x=2');
  });

  void test('an editor that empties a file before it writes it deletes nothing', async () => {
    await writeFile(at('a.yaml'), yaml('a'));
    const follower = await follow({ settleMs: 300 });
    for (let n = 2; n <= 5; n += 1) {
      await writeFile(at('a.yaml'), '');
      for (const part of [yaml('a', n).slice(0, 30), yaml('a', n).slice(30)]) await appendFile(at('a.yaml'), part);
    }
    await follower.sees('a=5');
    assert.deepEqual(follower.events.filter((event) => event.type === 'delete' || event.type === 'problem'), []);
  });

  void test('links swapped as Kubernetes swaps a ConfigMap bring the new content at once', async () => {
    for (const n of [1, 2]) {
      await mkdir(at(`..v${n}`));
      for (const name of ['a', 'b']) await writeFile(at(`..v${n}`, `${name}.yaml`), yaml(name, n));
    }
    await symlink('..v1', at('..data'));
    for (const name of ['a', 'b']) await symlink(`..data/${name}.yaml`, at(`${name}.yaml`));
    const follower = await follow();
    assert.equal(follower.inForce(), 'a=1 b=1');
    await symlink('..v2', at('..new'));
    await rename(at('..new'), at('..data'));
    await follower.sees('a=2 b=2');
    assert.deepEqual(follower.problems(), []);
  });

  void test('links in circles end, and a link to nothing is a problem', async () => {
    await mkdir(at('sub'));
    await writeFile(at('sub', 'a.yaml'), yaml('a'));
    await symlink('..', at('sub', 'up'));
    await symlink('nowhere', at('gone.yaml'));
    const follower = await follow();
    await follower.sees('a=1', [/^gone\.yaml: does not exist, or is a link to nothing/]);
  });

  void test('the slow rescan finds what no event told: a directory that appears, and one behind a link', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'meltemi-outside-'));
    try {
      const follower = await follow({ rescanMs: 40 }, at('later'));
      await follower.sees('', [/does not exist/]);
      await mkdir(at('later'));
      await follower.sees('');
      await symlink(outside, at('later', 'linked'));
      await writeFile(join(outside, 'a.yaml'), yaml('a'));
      await follower.sees('a=1');
      await writeFile(join(outside, 'a.yaml'), yaml('a', 2));
      await follower.sees('a=2');
    } finally {
      await rm(outside, { recursive: true, force: true });
    }
  });

  void test('a directory that vanishes keeps its objects in force until it is back', async () => {
    await mkdir(at('mount'));
    await writeFile(at('mount', 'a.yaml'), yaml('a'));
    const follower = await follow({ rescanMs: 40 }, at('mount'));
    await rename(at('mount'), at('elsewhere'));
    await follower.sees('a=1', [/does not exist/]);
    await rename(at('elsewhere'), at('mount'));
    await writeFile(at('mount', 'a.yaml'), yaml('a', 2));
    await follower.sees('a=2');
  });

  void test('a single file is a source of its own: written, replaced, gone for a while, whatever its name', async () => {
    await writeFile(at('mesh'), yaml('a'));
    await writeFile(at('other.yaml'), yaml('b'));
    const follower = await follow({}, at('mesh'));
    assert.equal(follower.inForce(), 'a=1');
    await writeFile(at('mesh'), yaml('a', 2));
    await follower.sees('a=2');
    await writeFile(at('mesh.new'), yaml('a', 3));
    await rename(at('mesh.new'), at('mesh'));
    await follower.sees('a=3');
    await unlink(at('mesh'));
    await follower.sees('a=3', [/does not exist/]);
    await writeFile(at('mesh'), yaml('a', 4));
    await follower.sees('a=4');
  });

  void test('too much is a problem, not a crash: large files, many files', async () => {
    await writeFile(at('a.yaml'), yaml('a'));
    await writeFile(at('b.yaml'), `${yaml('b')}#${'x'.repeat(2000)}`);
    await writeFile(at('c.yaml'), yaml('c'));
    const follower = await follow({ maxFileBytes: 1000, maxFiles: 2 });
    await follower.sees('a=1', [/: has more files than the 2 that are read/, /^b\.yaml: has \d+ bytes, a config file may have 1000/]);
  });

  void test('ends when its signal aborts', async () => {
    const follower = await follow();
    await follower.stop();
    assert.deepEqual(follower.events, [{ type: 'synced' }]);
  });
});
