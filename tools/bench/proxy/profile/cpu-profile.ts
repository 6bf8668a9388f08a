import { existsSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';

/** The group of functions that JavaScript calls and C++ implements. */
export const nativeFunctions = 'functions of Node in C++';

/** A function's own time. */
export interface FunctionTime {
  readonly name: string;
  /** Source file and line. */
  readonly place: string;
  readonly micros: number;
}

/** What V8's profiler saw of a thread while it was busy. */
export interface JsTimes {
  readonly busyMicros: number;
  /** Own time by folder of the source, or what V8 calls it in brackets. */
  readonly groups: ReadonlyMap<string, number>;
  /** Most first. */
  readonly functions: readonly FunctionTime[];
}

interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}

/** Reads a .cpuprofile; only the last seconds count: starting up is no part of a request. */
export function readCpuProfile(json: string, lastSeconds: number): JsTimes {
  const { nodes, samples, timeDeltas } = JSON.parse(json) as CpuProfile;
  const own = new Map<number, number>();
  let left = lastSeconds * 1e6;
  for (let i = samples.length - 1; i >= 0 && left > 0; i--) {
    const [id = 0, micros = 0] = [samples[i], timeDeltas[i]];
    own.set(id, (own.get(id) ?? 0) + micros);
    left -= micros;
  }
  const groups = new Map<string, number>();
  const functions = new Map<string, FunctionTime>();
  let busyMicros = 0;
  for (const { id, callFrame } of nodes) {
    const micros = own.get(id) ?? 0;
    if (micros <= 0 || callFrame.functionName === '(idle)') continue;
    busyMicros += micros;
    const place = placeOf(callFrame);
    groups.set(place.group, (groups.get(place.group) ?? 0) + micros);
    const key = `${callFrame.functionName} ${place.at}`;
    functions.set(key, { name: callFrame.functionName === '' ? '(anonymous)' : callFrame.functionName, place: place.at, micros: (functions.get(key)?.micros ?? 0) + micros });
  }
  return { busyMicros, groups, functions: [...functions.values()].sort((a, b) => b.micros - a.micros) };
}

function placeOf({ functionName, url, lineNumber, columnNumber }: CallFrame): { readonly group: string; readonly at: string } {
  if (url === '') return functionName.startsWith('(') ? { group: functionName, at: '' } : { group: nativeFunctions, at: 'native' };
  if (url.startsWith('node:')) return { group: 'JavaScript of Node', at: `${url}:${lineNumber + 1}` };
  const original = mapOf(url)?.findEntry(lineNumber, columnNumber);
  const file = (original && 'originalSource' in original ? original.originalSource : url).replace(/^(\.\.\/)+/, '').replace(/^.*\/(libs|apps|node_modules)\//, '$1/');
  return { group: groupOf(file), at: `${file}:${original && 'originalLine' in original ? original.originalLine + 1 : lineNumber + 1}` };
}

/** libs/proxy/src/codec/http1/parse.ts → proxy/codec/http1. */
function groupOf(file: string): string {
  const [, lib = file, rest = ''] = /^libs\/([^/]+)\/src\/(.*)$/.exec(file) ?? [];
  const folder = rest.split('/').slice(0, -1).slice(0, 3).join('/');
  return folder === '' ? lib : `${lib}/${folder}`;
}

const maps = new Map<string, SourceMap | undefined>();

function mapOf(url: string): SourceMap | undefined {
  if (!maps.has(url)) {
    const file = url.startsWith('file:') ? `${fileURLToPath(url)}.map` : '';
    maps.set(url, file !== '' && existsSync(file) ? new SourceMap(JSON.parse(readFileSync(file, 'utf8')) as ConstructorParameters<typeof SourceMap>[0]) : undefined);
  }
  return maps.get(url);
}
