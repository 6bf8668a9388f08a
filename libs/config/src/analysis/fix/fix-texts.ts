import { analyzeTexts, type AnalysisMessage, type AnalysisOptions } from '../analyze.ts';
import type { SourceText } from '../read.ts';
import { applyFix } from './apply-fix.ts';
import { movesItems, type SourceFix } from './source-fix.ts';

export interface FixedTexts {
  /** The texts that changed. */
  readonly changed: readonly { readonly name: string; readonly before: string; readonly after: string }[];
  readonly fixed: readonly AnalysisMessage[];
  /** What an analysis of the new texts says. */
  readonly left: readonly AnalysisMessage[];
}

/** Enough for any file written by people; each round mends at least one message. */
const maxRounds = 500;

/**
 * Mends what has one obvious remedy, by editing the source: comments and formatting stay. A fix that does not take its message away is
 * taken back. The result has nothing left to fix, so fixing it again changes nothing.
 */
export function fixTexts(texts: readonly SourceText[], options: AnalysisOptions): FixedTexts {
  const current = new Map(texts.map((text) => [text.name, text]));
  const given = new Map(texts.map((text) => [text.name, text.text]));
  const hopeless = new Set<string>();
  const fixed: AnalysisMessage[] = [];
  let messages = analyzeTexts([...current.values()], options);
  for (let round = 0; round < maxRounds; round++) {
    const applied = applyRound(messages, current, hopeless);
    if (applied.length === 0) break;
    const next = new Map(current);
    for (const { name, text } of applied.map((one) => one.result)) next.set(name, { ...next.get(name), name, text });
    const after = analyzeTexts([...next.values()], options);
    const failed = applied.filter(({ message }) => count(after, message) >= count(messages, message));
    for (const { message } of failed) hopeless.add(keyOf(message));
    if (failed.length > 0) continue;
    for (const [name, text] of next) current.set(name, text);
    fixed.push(...applied.map((one) => one.message));
    messages = after;
  }
  const changed = [...current.values()].flatMap(({ name, text }) => (given.get(name) === text ? [] : [{ name, before: given.get(name) ?? '', after: text }]));
  return { changed, fixed, left: messages };
}

interface Applied {
  readonly message: AnalysisMessage;
  readonly result: { readonly name: string; readonly text: string };
}

/** At most one fix per document that moves items, since the paths of others mean something else afterwards. */
function applyRound(messages: readonly AnalysisMessage[], current: ReadonlyMap<string, SourceText>, hopeless: Set<string>): Applied[] {
  const applied: Applied[] = [];
  const texts = new Map([...current].map(([name, { text }]) => [name, text]));
  const touched = new Set<string>();
  const closed = new Set<string>();
  const kinds = new Set<string>();
  for (const message of messages) {
    const { fix, file, object } = message;
    const text = texts.get(file);
    const document = `${file}#${object.source.document}`;
    if (!fix || text === undefined || hopeless.has(keyOf(message)) || closed.has(document)) continue;
    // One of a kind per round: then it shows whether its message goes away.
    const kind = `${document} ${message.code} ${message.origin}`;
    if (kinds.has(kind) || (movesItems(fix) && touched.has(document))) continue;
    const next = applyFix(text, fix, { document: object.source.document, pathInFile: object.source.pathInFile });
    if (next === undefined) {
      hopeless.add(keyOf(message));
      continue;
    }
    texts.set(file, next);
    touched.add(document);
    kinds.add(kind);
    if (movesItems(fix)) closed.add(document);
    applied.push({ message, result: { name: file, text: next } });
  }
  return applied;
}

function count(messages: readonly AnalysisMessage[], { code, origin, file }: AnalysisMessage): number {
  return messages.filter((one) => one.code === code && one.origin === origin && one.file === file).length;
}

function keyOf({ code, origin, file, path, message, fix }: AnalysisMessage): string {
  return [code, origin, file, path, message, fix === undefined ? '' : JSON.stringify(fix satisfies SourceFix)].join('\n');
}
