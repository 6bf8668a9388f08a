import { dirname, join, normalize } from 'node:path';
import type { Project } from './workspace.ts';

/** Node modules that open a door of the operating system; `pure` code gets what they give as a port. */
const doors = new Set(['fs', 'fs/promises', 'net', 'tls', 'http', 'http2', 'https', 'dgram', 'dns', 'dns/promises', 'child_process', 'worker_threads', 'cluster', 'os', 'process', 'timers', 'timers/promises', 'readline']);
const doorPackages = new Set(['@grpc/grpc-js', 'etcd3', 'undici', 'pino', 'commander']);
/** Stubs carry grpc-js service descriptions: data, not a socket. */
const generated = '@meltemi/api';
/** Parts of node:net that only compute. */
const pureNet = /^import (?:type )?\{(?:\s*(?:isIP|isIPv4|isIPv6|BlockList|SocketAddress)\s*,?)+\s*\} from 'node:net'/m;
const impureCalls = [/\bMath\.random\(/, /\bDate\.now\(/, /\bnew Date\(\)/, /\bperformance\.now\(/, /\bset(?:Timeout|Interval|Immediate)\(/, /\bprocess\.(?!versions)/];

/** Every breach of the house's import rules, one sentence each. */
export function breaches(projects: readonly Project[], read: (file: string) => string): string[] {
  const found: string[] = [];
  const byName = new Map(projects.map((project) => [project.name, project]));
  for (const project of projects) {
    for (const target of project.dependsOn) {
      const other = byName.get(target);
      if (other) found.push(...edgeBreaches(project, other));
    }
    for (const file of project.files) found.push(...fileBreaches(project, file, read(file), byName));
  }
  return found;
}

function edgeBreaches(from: Project, to: Project): string[] {
  const said: string[] = [];
  const [fromPlane, toPlane] = [tag(from, 'plane'), tag(to, 'plane')];
  if (to.root.startsWith('apps/')) said.push(`${from.name} imports ${to.name}: nobody imports an app`);
  if ((fromPlane === 'control' && toPlane === 'data') || (fromPlane === 'data' && toPlane === 'control'))
    said.push(`${from.name} (${fromPlane}) imports ${to.name} (${toPlane}): xDS is the contract between the planes, not a TypeScript type`);
  if (fromPlane === 'shared' && toPlane !== 'shared') said.push(`${from.name} (shared) imports ${to.name} (${toPlane})`);
  if (fromPlane !== 'tool' && toPlane === 'tool') said.push(`${from.name} imports ${to.name}: only tools import tools`);
  if (tag(from, 'hands') === 'pure' && tag(to, 'hands') === 'edge') said.push(`${from.name} (pure) imports ${to.name} (edge): take what it gives as a port`);
  return said;
}

function fileBreaches(project: Project, file: string, text: string, byName: ReadonlyMap<string, Project>): string[] {
  const said: string[] = [];
  const isTest = /\.test\.ts$|\/testing\/|\.contract\.ts$/.test(file);
  const pure = tag(project, 'hands') === 'pure' && !isTest;
  for (const specifier of specifiers(text)) {
    if (specifier.startsWith('.')) {
      const path = normalize(join(dirname(file), specifier));
      if (!path.startsWith(`${project.root}/`)) said.push(`${file} reaches out of its package to ${specifier}`);
      continue;
    }
    if (specifier.startsWith('node:')) {
      if (pure && doors.has(specifier.slice(5)) && !(specifier === 'node:net' && pureNet.test(text))) said.push(`${file} is pure and imports ${specifier}`);
      continue;
    }
    const name = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
    if (byName.has(name) && name !== project.name && !project.declared.includes(name)) said.push(`${file} imports ${name}, which ${project.root}/package.json does not declare`);
    if (pure && doorPackages.has(name) && project.name !== generated) said.push(`${file} is pure and imports ${name}`);
  }
  // Ports' own system implementations live in base, beside the port.
  if (pure && project.name !== '@meltemi/base')
    for (const [index, line] of text.split('\n').entries())
      if (!/^\s*(\/?\*|\/\/)/.test(line) && impureCalls.some((call) => call.test(line))) said.push(`${file}:${index + 1} is pure and uses time, randomness or process: ${line.trim().slice(0, 80)}`);
  return said;
}

function specifiers(text: string): string[] {
  return [...text.matchAll(/(?:^|\n)\s*(?:import|export)\b[^'"`;]*?from\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)\s*import\s*['"]([^'"]+)['"]/g)].map((found) => found[1] ?? found[2] ?? found[3] ?? '');
}

function tag(project: Project, key: string): string {
  return project.tags.find((text) => text.startsWith(`${key}:`))?.slice(key.length + 1) ?? '';
}
