import assert from 'node:assert/strict';
import { test } from 'node:test';
import { analyzeTexts, type AnalysisMessage, type AnalysisOptions } from '../analyze.ts';
import type { Analyzer } from '../analyzer.ts';

/** What is written, and every message expected of it: "IST0101 VirtualService reviews.shop" at a line, saying something. */
export interface AnalyzerCase {
  readonly yaml: string;
  readonly finds: readonly (readonly [codeAndOrigin: string, line: number, says: RegExp])[];
  readonly meshConfig?: string;
  readonly meshNetworks?: string;
  /** Another cluster's objects. */
  readonly remote?: string;
}

/** Certificates and other clocks in the tests are of this day. */
export const testDay = new Date('2027-01-01T00:00:00Z');

export function analyzeYaml(yaml: string, options: Partial<AnalysisOptions> = {}): readonly AnalysisMessage[] {
  return analyzeTexts([{ name: 'a.yaml', text: yaml }], { now: testDay, ...options });
}

/** One test per case: the analyzer says exactly this, an empty list being nothing. */
export function cases(analyzer: Analyzer, table: Readonly<Record<string, AnalyzerCase>>): void {
  for (const [name, { yaml, finds, meshConfig, meshNetworks, remote }] of Object.entries(table))
    void test(`${analyzer.name}: ${name}`, () => {
      const texts = [{ name: 'a.yaml', text: yaml }, ...(remote === undefined ? [] : [{ name: 'remote.yaml', text: remote, cluster: 'remote' }])];
      const found = analyzeTexts(texts, {
        analyzers: [analyzer.name],
        now: testDay,
        ...(meshConfig === undefined ? {} : { meshConfig: { name: 'mesh.yaml', text: meshConfig } }),
        ...(meshNetworks === undefined ? {} : { meshNetworks: { name: 'networks.yaml', text: meshNetworks } }),
      });
      assert.deepEqual(found.map(({ code, origin, line }) => `${code} ${origin}:${line}`).sort(), finds.map(([said, line]) => `${said}:${line}`).sort(), JSON.stringify(found.map(({ code, origin, message }) => ({ code, origin, message })), null, 1));
      for (const [said, line, says] of finds) assert.ok(found.some(({ code, origin, line: at, message }) => `${code} ${origin}` === said && at === line && says.test(message)), `${said}:${line} says ${says}: ${JSON.stringify(found.map(({ message }) => message))}`);
    });
}

/** An object on as few lines as it is given: line 1 apiVersion, 2 kind, 3 metadata, 4 the rest. */
export function object(apiVersion: string, kind: string, metadata: string, rest: string): string {
  return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: ${metadata}\n${rest}\n`;
}

/** Several objects in one file. */
export function documents(...objects: readonly string[]): string {
  return objects.join('---\n');
}
