import { keyText, type ConfigKey, type RawObject, type StoreWrite } from '@meltemi/config';
import type { TestRun } from './test-program.ts';

/** Objects of the mesh, and what a request would write and delete. */
export interface ProposedChange {
  readonly now: readonly RawObject[];
  readonly writes: readonly StoreWrite[];
}

/** Holds changes against the expectations (kind: MeshTest) that stand with the configuration. */
export interface ExpectationGate {
  /** 'warn': what breaks is told; 'enforce': the change is refused. */
  readonly mode: 'warn' | 'enforce';
  /** What the change breaks, a sentence for each expectation; empty when everything holds that held before. */
  brokenBy(change: ProposedChange): Promise<readonly string[]>;
  /** Changes are tested and committed one after the other, lest two that are good alone break something together. */
  inTurn<T>(step: () => Promise<T>): Promise<T>;
}

const shown = 10;

/** A gate whose expectations `run` tries. An expectation that fails already is nobody's fault now; one that is new must hold. */
export function expectationGate(mode: ExpectationGate['mode'], run: (objects: readonly RawObject[]) => Promise<TestRun>): ExpectationGate {
  let last: Promise<unknown> = Promise.resolve();
  return {
    mode,
    async brokenBy({ now, writes }) {
      const after = changed(now, writes);
      if (!after.some(isMeshTest)) return [];
      const then = await run(after);
      if ('failure' in then) return [`the expectations could not be run: ${then.failure}`];
      if (then.failed.length === 0) return [];
      const before = now.some(isMeshTest) ? await run(now) : { failed: [] };
      if ('failure' in before) return [`the expectations could not be run: ${before.failure}`];
      const touched = new Set(writes.flatMap((write) => (write.type === 'put' && isMeshTest(write.object) ? [write.object.key.name] : [])));
      const failing = new Set(before.failed.map(({ name }) => name));
      const broken = then.failed.filter(({ name }) => !failing.has(name) || touched.has(name.slice(0, name.indexOf(':'))));
      const sentences = broken.slice(0, shown).map(({ name, call, differences }) => `breaks the expectation "${name}"${call === '' ? '' : ` (${call})`}: ${differences.join('; ')}`);
      return broken.length > shown ? [...sentences, `breaks ${broken.length - shown} more`] : sentences;
    },
    inTurn(step) {
      const mine = last.then(step);
      last = mine.catch(() => undefined);
      return mine;
    },
  };
}

function isMeshTest({ key }: { readonly key: ConfigKey }): boolean {
  return key.kind === 'MeshTest' && key.group === 'meltemi.io';
}

function changed(now: readonly RawObject[], writes: readonly StoreWrite[]): RawObject[] {
  const objects = new Map(now.map((object) => [keyText(object.key), object]));
  for (const write of writes) {
    if (write.type === 'put') objects.set(keyText(write.object.key), write.object);
    else objects.delete(keyText(write.key));
  }
  return [...objects.values()];
}
