import { readFileSync } from 'node:fs';
import { formatFieldErrors } from '@meltemi/base';
import type { Answer } from '../answer.ts';
import { explain } from '../explain.ts';
import { loadMesh } from '../load.ts';
import { readCalls, readProxyQuestion } from '../question.ts';

type Json = Record<string, unknown>;

/** Answers for YAML texts, for tests. Wrong questions throw. */
export function ask(yaml: string, proxy: Json, ...calls: readonly Json[]): readonly Answer[] {
  const question = readProxyQuestion(JSON.stringify(proxy));
  const read = readCalls(JSON.stringify(calls));
  if (!question.ok || !read.ok) throw new Error(formatFieldErrors([...(question.ok ? [] : question.error), ...(read.ok ? [] : read.error)]));
  const answers = explain(loadMesh([{ name: 'mesh.yaml', text: yaml }]), question.value, { calls: read.value, nowMs: 1_700_000_000_000 });
  if (!answers.ok) throw new Error(formatFieldErrors(answers.error));
  return answers.value.answers;
}

/** A file below deploy/samples. */
export function sampleText(path: string): string {
  return readFileSync(new URL(`../../../../deploy/samples/${path}`, import.meta.url), 'utf8');
}
