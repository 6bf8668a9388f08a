import { isMap, isSeq, type Node, type Pair } from 'yaml';
import { lineStart, nextLine, type Edit } from './edit.ts';
import type { Place } from './find-node.ts';

/** Takes the last of the places out, or the nearest one around it that would become empty. */
export function removal(text: string, places: readonly Place[]): Edit | undefined {
  let depth = places.length - 1;
  while (depth > 0 && isAlone(places[depth])) depth--;
  const place = places[depth];
  if (!place || isAlone(place)) return undefined;
  const collection = place.in === 'map' ? place.map : place.list;
  const index = place.in === 'map' ? place.map.items.indexOf(place.pair) : place.index;
  const spans = collection.items.map(spanOf);
  return collection.flow === true ? fromFlow(spans, index) : fromBlock(text, { spans, index, isList: place.in === 'list' });
}

function isAlone(place: Place | undefined): boolean {
  return place !== undefined && (place.in === 'map' ? place.map.items.length : place.list.items.length) === 1;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

function spanOf(item: unknown): Span | undefined {
  const pair = item as Pair<Node, Node | null>;
  const first = isMap(item) || isSeq(item) || !('key' in (item as object)) ? (item as Node) : pair.key;
  const last = first === item ? first : (pair.value ?? pair.key);
  return first.range && last.range ? { start: first.range[0], end: last.range[1] } : undefined;
}

/** `{a: 1, b: 2}`: with the comma to its neighbour. */
function fromFlow(spans: readonly (Span | undefined)[], index: number): Edit | undefined {
  const [before, own, after] = [spans[index - 1], spans[index], spans[index + 1]];
  if (!own) return undefined;
  if (after) return { start: own.start, end: after.start, text: '' };
  return before && { start: before.end, end: own.end, text: '' };
}

/** Whole lines; the first key behind a dash hands its place to the next one. */
function fromBlock(text: string, { spans, index, isList }: { readonly spans: readonly (Span | undefined)[]; readonly index: number; readonly isList: boolean }): Edit | undefined {
  const own = spans[index];
  if (!own) return undefined;
  const dash = isList ? text.lastIndexOf('-', own.start - 1) : own.start;
  const start = lineStart(text, dash);
  const isBehindDash = text.slice(start, dash).trim() !== '';
  const after = spans[index + 1];
  if (isBehindDash) {
    const next = after && (isList ? text.lastIndexOf('-', after.start - 1) : after.start);
    return next === undefined ? undefined : { start: dash, end: next, text: '' };
  }
  // The value's own text may end with its newline (block scalars and collections).
  const lastChar = text.slice(own.start, own.end).trimEnd().length + own.start;
  return { start, end: nextLine(text, Math.max(lastChar, dash + 1)), text: '' };
}

