import { isMap, isScalar, parseAllDocuments, type Document, type Node, type YAMLMap } from 'yaml';
import { columnOf, applyEdit, type Edit } from './edit.ts';
import { findPlaces, type KeyPlace, type Place } from './find-node.ts';
import { flowText, keyText, type Style } from './flow-text.ts';
import { removal } from './removal.ts';
import type { FixValue, SourceFix } from './source-fix.ts';

/** Which document of a text, and how paths into the object's content are written there. */
export interface FixTarget {
  readonly document: number;
  readonly pathInFile: (path: string) => string;
}

/** The text with the fix applied, everything else as it was written; undefined when the fix cannot be done there. */
export function applyFix(text: string, fix: SourceFix, target: FixTarget): string | undefined {
  if (fix.do === 'all') return fix.fixes.reduce<string | undefined>((so, one) => (so === undefined ? undefined : applyFix(so, one, target)), text);
  const document = documentAt(text, target.document);
  const edit = document && editFor(text, document, { ...fix, path: target.pathInFile(fix.path) });
  if (!edit) return undefined;
  const fixed = applyEdit(text, edit);
  return documentAt(fixed, target.document) && fixed !== text ? fixed : undefined;
}

function documentAt(text: string, index: number): Document | undefined {
  const documents = parseAllDocuments(text, { merge: true, uniqueKeys: false, prettyErrors: false, logLevel: 'silent' });
  const document = 'empty' in documents ? undefined : documents[index];
  return document && document.errors.length === 0 ? document : undefined;
}

function editFor(text: string, document: Document, fix: Exclude<SourceFix, { do: 'all' }>): Edit | undefined {
  if (fix.do === 'insert') return insertion(text, document, fix);
  const places = findPlaces(document, fix.path);
  const last = places?.at(-1);
  if (!places || !last) return undefined;
  if (fix.do === 'remove') return removal(text, places);
  if (fix.do === 'rename') return last.in === 'map' && !hasKey(last.map, fix.to) ? over(last.key, keyText(fix.to, styleOf(last.key))) : undefined;
  return last.value && over(last.value, flowText(fix.value, last.in === 'map' ? styleOf(last.key) : styleOf(last.value)));
}

function over(node: Node, text: string): Edit | undefined {
  return node.range ? { start: node.range[0], end: node.range[1], text } : undefined;
}

function hasKey(map: YAMLMap, key: string): boolean {
  return map.items.some((pair) => isScalar(pair.key) && String(pair.key.value) === key);
}

/** Quoted keys are JSON's. */
function styleOf(node: Node): Style {
  return isScalar(node) && node.type === 'QUOTE_DOUBLE' ? 'json' : 'yaml';
}

/** Into the map at the path, or a new map below the nearest one that exists. */
function insertion(text: string, document: Document, { path, key, value }: { readonly path: string; readonly key: string; readonly value: FixValue }): Edit | undefined {
  const missing: string[] = [];
  let at = path;
  for (;;) {
    const places = at === '' ? [] : findPlaces(document, at);
    if (places) {
      const entry = missing.reduceRight<{ key: string; value: FixValue }>((inner, name) => ({ key: name, value: { [inner.key]: inner.value } }), { key, value });
      return intoMap(text, { map: at === '' ? document.contents : places.at(-1)?.value, holder: places.at(-1) }, entry);
    }
    const dot = /^(.*)\.([\w-]+)$/.exec(at);
    if (!dot && !/^[\w-]+$/.test(at)) return undefined;
    missing.unshift(dot?.[2] ?? at);
    at = dot?.[1] ?? '';
  }
}

function intoMap(text: string, { map, holder }: { readonly map: Node | null | undefined; readonly holder: Place | undefined }, entry: { readonly key: string; readonly value: FixValue }): Edit | undefined {
  if (map === undefined || map === null) return holder?.in === 'map' ? behindKey(text, holder, entry) : undefined;
  if (!isMap(map) || !map.range || hasKey(map, entry.key)) return undefined;
  const [first] = map.items;
  const firstKey = first && isScalar(first.key) ? first.key : undefined;
  const style = firstKey ? styleOf(firstKey) : 'yaml';
  const written = `${keyText(entry.key, style)}: ${flowText(entry.value, style)}`;
  if (map.flow === true) return { start: map.range[0] + 1, end: map.range[0] + 1, text: firstKey ? `${written}, ` : written };
  if (!firstKey?.range) return undefined;
  const indent = ' '.repeat(columnOf(text, firstKey.range[0]));
  const lines = blockLines(entry, indent);
  // Behind what names the thing, which stays first; before everything else.
  const value = entry.key === 'name' ? undefined : map.items[Math.max(0, namingEntries(map) - 1)]?.value;
  const end = isScalar(value) && value.range && !text.slice(value.range[0], value.range[1]).includes('\n') ? text.indexOf('\n', value.range[1]) : -1;
  return end >= 0 ? { start: end, end, text: `\n${indent}${lines}` } : { start: firstKey.range[0], end: firstKey.range[0], text: `${lines}\n${indent}` };
}

/** How many of the first entries are name and namespace. */
function namingEntries(map: YAMLMap): number {
  const at = map.items.findIndex(({ key }) => !isScalar(key) || !['name', 'namespace'].includes(String(key.value)));
  return at < 0 ? map.items.length : at;
}

/** "labels:\n  a: b" in the indentation of its neighbours. */
function blockLines({ key, value }: { readonly key: string; readonly value: FixValue }, indent: string): string {
  if (typeof value !== 'object' || Array.isArray(value)) return `${keyText(key, 'yaml')}: ${flowText(value, 'yaml')}`;
  const deeper = `${indent}  `;
  return `${keyText(key, 'yaml')}:\n${deeper}${Object.entries(value).map(([name, one]) => blockLines({ key: name, value: one }, deeper)).join(`\n${deeper}`)}`;
}

/** `labels:` without a value becomes `labels: {a: b}`. */
function behindKey(text: string, { key }: KeyPlace, entry: { readonly key: string; readonly value: FixValue }): Edit | undefined {
  const end = key.range?.[1];
  const colon = end === undefined ? -1 : text.indexOf(':', end);
  return colon < 0 ? undefined : { start: colon + 1, end: colon + 1, text: ` ${flowText({ [entry.key]: entry.value }, 'yaml')}` };
}

