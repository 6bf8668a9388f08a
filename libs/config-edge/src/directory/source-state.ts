import { isDeepStrictEqual } from 'node:util';
import { keyText, problemText, type RawObject, type SourceEvent, type SourceLocation, type SourceProblem } from '@meltemi/config';
import type { ReadDocument } from '../read-documents.ts';

/** An object and where it is written. */
export interface PlacedObject {
  readonly object: RawObject;
  readonly location: SourceLocation;
}

/** What one file contributes. */
export interface FileState {
  readonly signature: string;
  readonly objects: readonly PlacedObject[];
  readonly problems: readonly SourceProblem[];
}

/** The state of a file after reading it. Where a document is unreadable, any object the file had and no longer shows stays: it may be that document. */
export function fileState(file: string, signature: string, documents: readonly ReadDocument[], before: FileState | undefined): FileState {
  const objects = documents.flatMap(({ object, line, fieldLines }) => (object === undefined ? [] : [{ object, location: { file, line, ...(fieldLines ? { fieldLines } : {}) } }]));
  const problems = documents.flatMap((document) => document.problems.map((problem) => ({ file, ...problem })));
  if (problems.length === 0) return { signature, objects, problems };
  const shown = new Set(objects.map(({ object }) => keyText(object.key)));
  const kept = (before?.objects ?? []).filter(({ object }) => !shown.has(keyText(object.key)));
  return { signature, objects: [...objects, ...kept], problems };
}

/** The state of a file that could not be read at all: what it had stays. */
export function unreadFile(file: string, signature: string, message: string, before: FileState | undefined): FileState {
  return { signature, objects: before?.objects ?? [], problems: [{ file, line: 0, path: '', message }] };
}

/** What a source has told: turns the files' states into events. */
export class SourceState {
  #objects = new Map<string, PlacedObject>();
  #problems = new Map<string, SourceProblem>();
  #files: readonly FileState[] = [];
  #others = '';

  /** The events from what was told to what `files` (in order of precedence) and `others` say now. */
  update(files: readonly FileState[], others: readonly SourceProblem[]): SourceEvent[] {
    // Most looks find every file as it was: then thousands of objects need not be compared.
    const told = others.map(problemText).join('\n');
    if (told === this.#others && files.length === this.#files.length && files.every((file, index) => file === this.#files[index])) return [];
    [this.#files, this.#others] = [files, told];
    const objects = new Map<string, PlacedObject>();
    const problems = new Map<string, SourceProblem>();
    const note = (problem: SourceProblem): void => void problems.set(problemText(problem), problem);
    others.forEach(note);
    for (const file of files) {
      file.problems.forEach(note);
      for (const placed of file.objects) {
        const text = keyText(placed.object.key);
        const winner = objects.get(text);
        if (winner === undefined) objects.set(text, placed);
        else note({ file: placed.location.file, line: placed.location.line, path: '', message: `${text} is also in ${winner.location.file}:${winner.location.line}, which comes first and wins: delete one of the two` });
      }
    }
    const events = this.#difference(objects, problems);
    [this.#objects, this.#problems] = [objects, problems];
    return events;
  }

  #difference(objects: ReadonlyMap<string, PlacedObject>, problems: ReadonlyMap<string, SourceProblem>): SourceEvent[] {
    const events: SourceEvent[] = [];
    for (const [text, problem] of this.#problems) if (!problems.has(text)) events.push({ type: 'problem-cleared', problem });
    for (const [text, { object }] of this.#objects) if (!objects.has(text)) events.push({ type: 'delete', key: object.key });
    for (const [text, placed] of objects) if (!isDeepStrictEqual(this.#objects.get(text), placed)) events.push({ type: 'put', ...placed });
    for (const [text, problem] of problems) if (!this.#problems.has(text)) events.push({ type: 'problem', problem });
    return events;
  }
}
