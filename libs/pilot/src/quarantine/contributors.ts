import type { Config } from '@meltemi/config';
import type { ResourceSet } from '@meltemi/xds';
import type { PushContext } from '../push-context/push-context.ts';
import type { CheckedContext } from './checked-context.ts';

export interface ContributorSearch {
  /** What the proxy took last; its versions of the suspects are put back in turn. */
  readonly before: Pick<CheckedContext, 'inForce'>;
  /** What it refused. */
  readonly after: CheckedContext;
  /** A context of other objects, all else alike. */
  readonly build: (configs: readonly Config[]) => PushContext;
  /** The refused resources as a context makes them. */
  readonly translate: (push: PushContext) => readonly ResourceSet[];
  readonly refused: ReadonlySet<string>;
}

/**
 * Key texts of the objects that came or changed between two contexts and that a refused resource shows: with one of them put back, it is another resource.
 * Found by halves, so that few of many cost few builds.
 */
export function contributors({ before, after, build, translate, refused }: ContributorSearch): readonly string[] {
  const suspects = [...after.inForce].filter(([text, config]) => before.inForce.get(text) !== config).map(([text]) => text);
  const looks = (push: PushContext): string => translate(push).flatMap((set) => [...refused].map((name) => `${set.typeUrl} ${name} ${set.resources.get(name)?.version ?? ''}`)).join('\n');
  const now = looks(after.push);
  const shows = (texts: readonly string[]) => looks(build(putBack(before, after, texts))) !== now;
  const found: string[] = [];
  const search = (texts: readonly string[]): void => {
    if (texts.length === 0 || !shows(texts)) return;
    const [only] = texts;
    if (texts.length === 1 && only !== undefined) {
      found.push(only);
      return;
    }
    const middle = texts.length >> 1;
    search(texts.slice(0, middle));
    search(texts.slice(middle));
  };
  search(suspects);
  return found;
}

function putBack(before: Pick<CheckedContext, 'inForce'>, after: CheckedContext, texts: readonly string[]): Config[] {
  const reverted = new Set(texts);
  return [...after.inForce].flatMap(([text, config]) => {
    if (!reverted.has(text)) return [config];
    const earlier = before.inForce.get(text);
    return earlier ? [earlier] : [];
  });
}

/** For messages: "VirtualService default/reviews". */
export function objectName(text: string): string {
  const [, kind = '', namespace = '', name = ''] = text.split('/');
  return namespace === '' ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}

