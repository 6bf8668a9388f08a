import { shortTypeName, type Refusal } from '@meltemi/xds';
import type { RefusedResource } from '@meltemi/xds';

/** Where one client stands with a revision. */
export type Verdict = { readonly state: 'follows' | 'behind' } | { readonly state: 'refuses'; readonly reason: string };

interface Refused {
  readonly typeUrl: string;
  readonly name: string;
  readonly message: string;
  /** The change it refuses came after this settled revision … */
  readonly after: number;
  /** … and with this one at the latest. */
  readonly since: number;
}

const maxNamed = 5;

/** What one client has settled, and which of its refusals belong to which revisions: an old refusal must not fail a change that has nothing to do with it. */
export class Settlement {
  #settled = 0;
  #refused = new Map<string, Refused>();
  /** Refusals heard since the last settled revision: key → the client's words. */
  #heard = new Map<string, string>();

  /** Newest revision the client answered in full; 0 = none. */
  get settled(): number {
    return this.#settled;
  }

  refuse(typeUrl: string, { resources, message }: Refusal): void {
    for (const name of resources) this.#heard.set(keyOf({ typeUrl, name }), message);
  }

  /** True when this resource was refused already when the last revision was answered. */
  refuses(typeUrl: string, name: string): boolean {
    return this.#refused.has(keyOf({ typeUrl, name }));
  }

  /** A resource that is refused still, and was not refused anew, is one that this revision did not touch. */
  settle(revision: number, refused: readonly RefusedResource[]): void {
    const now = new Map<string, Refused>();
    for (const { typeUrl, name } of refused) {
      const key = keyOf({ typeUrl, name });
      const known = this.#refused.get(key);
      const heard = this.#heard.get(key);
      now.set(key, known && heard === undefined ? known : { typeUrl, name, message: heard ?? '', after: this.#settled, since: revision });
    }
    this.#refused = now;
    this.#heard.clear();
    this.#settled = Math.max(this.#settled, revision);
  }

  /** `any`: a refusal of whatever age counts. `about`: which refused resources matter. */
  verdict(revision: number, options: { readonly any?: boolean; readonly about?: (refused: RefusedResource) => boolean } = {}): Verdict {
    if (this.#settled < revision) return { state: 'behind' };
    const against = [...this.#refused.values()].filter(({ after, since }) => options.any === true || (after < revision && revision <= since)).filter((refused) => options.about?.(refused) ?? true);
    return against.length === 0 ? { state: 'follows' } : { state: 'refuses', reason: describe(against) };
  }
}

function keyOf({ typeUrl, name }: RefusedResource): string {
  return `${typeUrl}\0${name}`;
}

function describe(refused: readonly Refused[]): string {
  const names = refused.slice(0, maxNamed).map(({ typeUrl, name }) => `${shortTypeName(typeUrl)} ${name}`).join(', ');
  const more = refused.length > maxNamed ? ` and ${refused.length - maxNamed} more` : '';
  return `${names}${more}: ${[...new Set(refused.map(({ message }) => message))].join('; ')}`;
}
