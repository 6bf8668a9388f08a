import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

/** What package-lock.json says of one installed package. */
interface Locked {
  readonly version?: string;
  readonly license?: string;
  /** sha512-…, in base64. */
  readonly integrity?: string;
}

/** The program that a bundle is. */
export interface Program {
  readonly name: string;
  readonly version: string;
  readonly license: string;
}

interface Component {
  readonly 'type': 'library' | 'application';
  readonly 'bom-ref': string;
  readonly 'group'?: string;
  readonly 'name': string;
  readonly 'version': string;
  readonly 'licenses': readonly ({ readonly license: { readonly id: string } } | { readonly expression: string })[];
  readonly 'purl': string;
  readonly 'hashes'?: readonly { readonly alg: string; readonly content: string }[];
}

/** A CycloneDX bill of materials. The same code gives the same bill: no time, and a serial number of the content. */
export interface Sbom {
  readonly bomFormat: 'CycloneDX';
  readonly specVersion: '1.6';
  readonly serialNumber: string;
  readonly version: 1;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** "/…/node_modules/@grpc/grpc-js/build/x.js" → "/…/node_modules/@grpc/grpc-js"; undefined for files of our own. */
export function packageFolderOf(file: string): string | undefined {
  return /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(file)?.[0];
}

/** The bill of one bundle: every package of whose files something is in it. Throws for a package that package-lock.json does not pin: nobody could say what it is. */
export function sbomOf(program: Program, files: readonly string[], repository: string): Sbom {
  const lock = (JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as { packages: Record<string, Locked> }).packages;
  const folders = [...new Set(files.flatMap((file) => packageFolderOf(resolve(file)) ?? []))];
  const components = new Map(folders.map((folder) => {
    const at = relative(repository, folder).replaceAll('\\', '/');
    const locked = lock[at];
    const installed = readVersion(folder);
    if (locked?.version === undefined || locked.integrity === undefined) throw new Error(`${at} is in the bundle of ${program.name}, but package-lock.json does not pin it with an integrity hash`);
    if (installed !== undefined && installed !== locked.version) throw new Error(`${at} is installed as ${installed}, but package-lock.json pins ${locked.version}: run npm ci`);
    const component = library(at.slice(at.lastIndexOf('node_modules/') + 'node_modules/'.length), locked.version, locked);
    return [component['bom-ref'], component] as const;
  }));
  const listed = [...components.values()].toSorted((a, b) => (a.purl < b.purl ? -1 : 1));
  const self: Component = { 'type': 'application', 'bom-ref': `pkg:npm/${program.name}@${program.version}`, 'name': program.name, 'version': program.version, 'licenses': licenses(program.license), 'purl': `pkg:npm/${program.name}@${program.version}` };
  return {
    bomFormat: 'CycloneDX', specVersion: '1.6', serialNumber: `urn:uuid:${uuidOf(JSON.stringify([self, listed]))}`, version: 1, metadata: { component: self }, components: listed,
    dependencies: [{ ref: self['bom-ref'], dependsOn: listed.map((one) => one['bom-ref']) }],
  };
}

function library(fullName: string, version: string, { license = '', integrity = '' }: Locked): Component {
  const [, group, name = fullName] = /^(@[^/]+)\/(.+)$/.exec(fullName) ?? [];
  const purl = `pkg:npm/${fullName.replace('@', '%40')}@${version}`;
  return { 'type': 'library', 'bom-ref': purl, ...(group === undefined ? {} : { group }), name, version, 'licenses': licenses(license), purl, 'hashes': hashesOf(integrity) };
}

function licenses(license: string): Component['licenses'] {
  return license === '' ? [] : / (?:AND|OR) /.test(license) ? [{ expression: license.replace(/^\((.*)\)$/, '$1') }] : [{ license: { id: license } }];
}

function hashesOf(integrity: string): { alg: string; content: string }[] {
  return integrity.split(' ').map((one) => {
    const [, bits = '', base64 = ''] = /^sha(\d+)-(.+)$/.exec(one) ?? [];
    return { alg: `SHA-${bits}`, content: Buffer.from(base64, 'base64').toString('hex') };
  });
}

/** Version 8 (RFC 9562): free bits, here of a digest. */
function uuidOf(text: string): string {
  const digest = createHash('sha256').update(text).digest('hex');
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-8${digest.slice(13, 16)}-a${digest.slice(17, 20)}-${digest.slice(20, 32)}`;
}

function readVersion(folder: string): string | undefined {
  const file = join(folder, 'package.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { version?: string }).version : undefined;
}
