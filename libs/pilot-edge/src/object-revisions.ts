import type { CheckedContext } from '@meltemi/pilot';
import { keyText } from '@meltemi/config';

/** Removed objects remembered; of older ones everybody that is connected has long heard. */
const maxRemoved = 1000;

/** In which revision each object became what it is now: in force, set aside, or gone. Of those never touched since the start it was the first. */
export class ObjectRevisions {
  readonly #since = new Map<string, number>();
  readonly #removed = new Map<string, number>();
  readonly #announced = new Set<string>();

  /** Key texts of objects that changed and are in no revision yet. */
  announce(texts: Iterable<string>): void {
    for (const text of texts) this.#announced.add(text);
  }

  /** A revision was built: it carries all that was announced, and what was set aside or let in again. */
  built(revision: number, now: CheckedContext, before: CheckedContext | undefined): void {
    const aside = new Set(now.setAside.map(({ key }) => keyText(key)));
    for (const text of this.#announced) {
      if (now.inForce.has(text) || aside.has(text)) this.#set(text, revision);
      else this.#remove(text, revision);
    }
    this.#announced.clear();
    if (before) for (const text of settledAnew(now, before)) this.#set(text, revision);
  }

  /** The revision that brought the object's present state, 0: the first there was. */
  since(text: string): number {
    return this.#since.get(text) ?? this.#removed.get(text) ?? 0;
  }

  /** True while the newest change is in no revision. */
  pending(text: string): boolean {
    return this.#announced.has(text);
  }

  #set(text: string, revision: number): void {
    this.#removed.delete(text);
    this.#since.set(text, revision);
  }

  #remove(text: string, revision: number): void {
    this.#since.delete(text);
    this.#removed.delete(text);
    this.#removed.set(text, revision);
    for (const oldest of this.#removed.keys()) {
      if (this.#removed.size <= maxRemoved) break;
      this.#removed.delete(oldest);
    }
  }
}

/** Objects set aside or let in since, though nobody changed them. */
function settledAnew(now: CheckedContext, before: CheckedContext): string[] {
  const earlier = new Map(before.setAside.map((each) => [keyText(each.key), each]));
  const texts: string[] = [];
  for (const { key, config, lastGoodInForce } of now.setAside) {
    const text = keyText(key);
    const was = earlier.get(text);
    if (was?.config !== config || was.lastGoodInForce !== lastGoodInForce) texts.push(text);
    earlier.delete(text);
  }
  for (const text of earlier.keys()) if (now.inForce.has(text)) texts.push(text);
  return texts;
}
