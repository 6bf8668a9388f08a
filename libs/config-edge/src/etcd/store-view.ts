import type { IKeyValue } from 'etcd3';
import type { StoredObject, StoreEvent, UnreadableValue } from '@meltemi/config';
import { configKeyOf } from './etcd-keys.ts';
import { readStored } from './etcd-values.ts';
import type { KeyChange, PrefixStep } from './follow-prefix.ts';

/** What one watch has told about one key. `stored` stays when the value turned unreadable: the last good version is still in force. */
interface Told {
  readonly stored: StoredObject | undefined;
  readonly unreadable: boolean;
}

/** Turns the steps of a prefix into the events of a ConfigStore watch: reads values, remembers what was told of each. One per watch. */
export class StoreView {
  readonly #prefix: string;
  readonly #told = new Map<string, Told>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  take(step: PrefixStep, wanted: (rawKey: string) => boolean): StoreEvent[] {
    switch (step.type) {
      case 'interrupted':
        return [step];
      case 'caught-up':
        return [{ type: 'synced', version: String(step.revision) }];
      case 'base': {
        const events = markLast(step.kvs.filter((kv) => wanted(kv.key.toString())).flatMap((kv) => this.#put(kv, kv.mod_revision)));
        return step.told ? [] : events;
      }
      case 'reset':
        return [this.#reset(step.kvs.filter((kv) => wanted(kv.key.toString())), String(step.revision))];
      case 'commit':
        return markLast(step.changes.filter((change) => wanted(change.key)).flatMap((change) => this.#change(change, String(step.revision), step.relisted === true)));
    }
  }

  #change({ key, kv }: KeyChange, version: string, missed: boolean): StoreEvent[] {
    if (kv !== undefined) return this.#put(kv, version);
    const told = this.#told.get(key);
    this.#told.delete(key);
    const events: StoreEvent[] = told?.unreadable === true ? [{ type: 'unreadable-cleared', rawKey: key, version }] : [];
    const name = configKeyOf(this.#prefix, key);
    if (told?.stored !== undefined && name !== undefined) events.push({ type: 'delete', key: name, previous: told.stored, version, lastOfCommit: false, ...(missed && { missed }) });
    return events;
  }

  #put(kv: IKeyValue, version: string): StoreEvent[] {
    const rawKey = kv.key.toString();
    const told = this.#told.get(rawKey);
    const stored = readStored(this.#prefix, kv);
    if (!stored.ok) {
      this.#told.set(rawKey, { stored: told?.stored, unreadable: true });
      return [{ type: 'unreadable', value: stored.error, version }];
    }
    this.#told.set(rawKey, { stored: stored.value, unreadable: false });
    const events: StoreEvent[] = told?.unreadable === true ? [{ type: 'unreadable-cleared', rawKey, version }] : [];
    events.push({ type: 'put', object: stored.value, version, lastOfCommit: false, ...(told?.stored === undefined ? {} : { previous: told.stored }) });
    return events;
  }

  #reset(kvs: readonly IKeyValue[], version: string): StoreEvent {
    this.#told.clear();
    const objects: StoredObject[] = [];
    const unreadable: UnreadableValue[] = [];
    for (const event of kvs.flatMap((kv) => this.#put(kv, version))) {
      if (event.type === 'put') objects.push(event.object);
      else if (event.type === 'unreadable') unreadable.push(event.value);
    }
    return { type: 'resync', objects, unreadable, version };
  }
}

function markLast(events: StoreEvent[]): StoreEvent[] {
  const last = events.findLastIndex((event) => event.type === 'put' || event.type === 'delete');
  return events.map((event, index) => (index === last && (event.type === 'put' || event.type === 'delete') ? { ...event, lastOfCommit: true } : event));
}
