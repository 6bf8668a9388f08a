import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FieldError } from '@meltemi/base';
import { keyText, type Config } from '@meltemi/config';
import { translate } from '@meltemi/pilot';
import { xdsType } from '@meltemi/xds';
import type { ClientHandler } from '@meltemi/xds-edge';
import type { VersionMemory } from './live-refusals.ts';
import { FakeMesh } from './testing/fake-mesh.test-support.ts';

const entry = (name: string, port: number) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: default}
spec: {hosts: [${name}.example.com], ports: [{number: ${port}, name: http, protocol: HTTP}], resolution: DNS}
`;
/** Four hosts on one port: one route table shows all of them. */
const four = ['a', 'b', 'c', 'd'].map((name) => entry(name, 8080)).join('---\n');

/** A memory that forgets at the end. */
class Memory implements VersionMemory {
  readonly versions = new Map<Config, readonly FieldError[]>();
  lastGood = () => undefined;
  confirm = () => undefined;
  unproven = () => new Map<string, Config | undefined>();
  refuse = (config: Config, errors: readonly FieldError[]) => void this.versions.set(config, errors);
  refused = () => new Map([...this.versions].map(([config, errors]) => [keyText(config.key), errors]));

  names(): string[] {
    return [...this.versions.keys()].map(({ key }) => key.name).sort();
  }
}

/** A connected proxy that refuses route tables with these hosts in them. */
class Proxy {
  readonly #mesh: FakeMesh;
  readonly #name: string;
  readonly #handler: ClientHandler;
  readonly refuses: string[];
  says = 'no';
  #answered = 0;

  constructor(mesh: FakeMesh, name: string, refuses: string[]) {
    this.#mesh = mesh;
    this.#name = name;
    this.refuses = refuses;
    this.#handler = mesh.connect(name);
  }

  leave(): void {
    this.#handler.onClose?.('gone');
  }

  /** Answers what it was pushed last; false: nothing new was. */
  answer(): boolean {
    const revisions = this.#mesh.pushes.flatMap(([name, revision], index) => (name === this.#name ? [{ revision, index }] : []));
    const last = revisions.at(-1);
    if (!last || Number(last.revision) <= this.#answered) return false;
    this.#answered = Number(last.revision);
    const tables = [...(this.#mesh.handed[last.index]?.resources.get(xdsType.route)?.resources.values() ?? [])];
    const refused = tables.filter(({ any }) => this.refuses.some((host) => Buffer.from(any.value).includes(`${host}.example.com`))).map(({ name, version }) => ({ name, version }));
    for (const { name, version } of refused) this.#handler.onNack?.(xdsType.route, { version, message: this.says, resources: [name] });
    this.#handler.onSettle?.(last.revision, refused.map(({ name }) => ({ typeUrl: xdsType.route, name })));
    return true;
  }
}

/** Lets every proxy answer until nobody is sent anything more. */
async function calm(mesh: FakeMesh, ...proxies: Proxy[]): Promise<void> {
  for (let quiet = 0, turns = 0; quiet < 20; turns++) {
    assert.ok(turns < 2000, 'it never comes to rest');
    quiet = proxies.map((proxy) => proxy.answer()).includes(true) || mesh.discovery.judging ? 0 : quiet + 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function inForce(mesh: FakeMesh): string[] {
  const aside = new Set(mesh.discovery.setAside.map(({ key }) => key.name));
  return mesh.configs().map(({ key }) => key.name).filter((name) => !aside.has(name)).sort();
}

async function meshOf(...refusing: (readonly [name: string, refuses: string[]])[]) {
  const memory = new Memory();
  const mesh = new FakeMesh({ translate, memory }).settled();
  const proxies = refusing.map(([name, refuses]) => new Proxy(mesh, name, refuses));
  await calm(mesh, ...proxies);
  return { mesh, memory, proxies };
}

test('of four objects in one route table the one that a proxy refuses is found, the others are in force again', async () => {
  const { mesh, memory, proxies } = await meshOf(['p', ['c']]);
  mesh.write(four);
  mesh.discovery.settle();
  await calm(mesh, ...proxies);
  assert.deepEqual([memory.names(), inForce(mesh)], [['c'], ['a', 'b', 'd']]);
});

test('two proxies that refuse different ones of them at the same time both have their way, and it comes to rest', async () => {
  const { mesh, memory, proxies } = await meshOf(['p', ['a']], ['q', ['d']], ['r', []]);
  mesh.write(four);
  mesh.discovery.settle();
  await calm(mesh, ...proxies);
  assert.deepEqual([memory.names(), inForce(mesh)], [['a', 'd'], ['b', 'c']]);
});

test('two that are refused by one proxy are both found', async () => {
  const { mesh, memory, proxies } = await meshOf(['p', ['b', 'c']], ['q', []]);
  mesh.write(four);
  mesh.discovery.settle();
  await calm(mesh, ...proxies);
  assert.deepEqual([memory.names(), inForce(mesh)], [['b', 'c'], ['a', 'd']]);
});

test('when the proxy that refused leaves in the middle, the next that refuses the same is heard', async () => {
  const { mesh, memory, proxies: [first, second] } = await meshOf(['p', ['c']], ['q', ['c']]);
  assert.ok(first && second);
  mesh.write(four);
  mesh.discovery.settle();
  while (!first.answer()) await new Promise((resolve) => setImmediate(resolve));
  first.leave();
  await calm(mesh, second);
  assert.deepEqual([memory.names(), inForce(mesh)], [['c'], ['a', 'b', 'd']]);
});

test('the same version is found out again when it comes back after another', async () => {
  const { mesh, memory, proxies } = await meshOf(['p', ['c']]);
  for (let turn = 0; turn < 2; turn++) {
    memory.versions.clear();
    for (const [text, { key }] of mesh.entries) if (text.includes('/ServiceEntry/')) mesh.remove(key);
    mesh.write(entry('a', 8080));
    mesh.discovery.settle();
    await calm(mesh, ...proxies);
    mesh.write(entry('c', 8080));
    mesh.discovery.settle();
    await calm(mesh, ...proxies);
    assert.deepEqual([memory.names(), inForce(mesh)], [['c'], ['a']], `turn ${turn}`);
  }
});

test('what a proxy says of a refusal is kept up to a length', async () => {
  const { mesh, memory, proxies } = await meshOf(['wordy', ['c']]);
  for (const proxy of proxies) proxy.says = 'x'.repeat(100_000);
  mesh.write(four);
  mesh.discovery.settle();
  await calm(mesh, ...proxies);
  assert.deepEqual(memory.names(), ['c']);
  assert.ok(JSON.stringify([...memory.versions.values()]).length < 5000);
});
