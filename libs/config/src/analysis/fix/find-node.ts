import { isAlias, isMap, isNode, isScalar, isSeq, type Document, type Node, type Pair, type Scalar, type YAMLMap, type YAMLSeq } from 'yaml';
import { parsePath } from '../../documents/locate.ts';

/** A key with its value in a map, or an item of a list. */
export type Place = KeyPlace | ItemPlace;

export interface KeyPlace {
  readonly in: 'map';
  readonly map: YAMLMap;
  readonly pair: Pair;
  readonly key: Scalar;
  /** Undefined for `key:` with nothing behind it. */
  readonly value: Node | undefined;
}

export interface ItemPlace {
  readonly in: 'list';
  readonly list: YAMLSeq;
  readonly index: number;
  readonly value: Node;
}

/** The way to a path, outermost first; undefined when it is not written as such (or comes from an anchor, where an edit would change other places, too). */
export function findPlaces(document: Document, path: string): readonly Place[] | undefined {
  const places: Place[] = [];
  let at: unknown = document.contents;
  for (const segment of parsePath(path)) {
    const place = step(at, segment);
    if (place === undefined || isAlias(place.value)) return undefined;
    places.push(place);
    at = place.value;
  }
  return places;
}

function step(node: unknown, segment: string | number): Place | undefined {
  if (isSeq(node)) {
    const value = node.items[Number(segment)];
    return isNode(value) ? { in: 'list', list: node, index: Number(segment), value } : undefined;
  }
  if (!isMap(node)) return undefined;
  const snake = String(segment).replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  for (const pair of node.items) {
    const { key, value } = pair;
    if (isScalar(key) && [String(segment), snake].includes(String(key.value))) return { in: 'map', map: node, pair, key, value: isNode(value) && !isEmptyScalar(value) ? value : undefined };
  }
  return undefined;
}

function isEmptyScalar(node: Node): boolean {
  return isScalar(node) && node.value === null && node.range?.[0] === node.range?.[1];
}
