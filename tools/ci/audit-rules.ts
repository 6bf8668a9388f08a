/** One entry of package-lock.json's `packages`. */
export interface LockEntry {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly hasInstallScript?: boolean;
  readonly deprecated?: string;
}

export interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly scripts?: Readonly<Record<string, string>>;
}

export interface AuditInput {
  readonly lock: { readonly packages: Readonly<Record<string, LockEntry>> };
  /** package.json files of the workspace by their path. */
  readonly manifests: Readonly<Record<string, Manifest>>;
}

/** Packages that run something while they are installed, and why they may. */
const mayRunAtInstall: Readonly<Record<string, string>> = {
  'esbuild': 'checks that its binary for this platform is there; builds only',
  'koffi': 'looks for its prebuilt binary for this platform',
  'nx': 'warms a cache; never in a bundle',
  'protobufjs': 'prints a warning about versions',
};

/** Licences that ask for nothing but their text: what is in bundles and what builds them. */
const licences = new Set(['MIT', 'Apache-2.0', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'BlueOak-1.0.0', 'Python-2.0']);

/** Two versions of these at once would mean two places for one hole: TLS, certificates, parsers of what strangers send. */
const securityRelevant = ['@grpc/grpc-js', '@grpc/proto-loader', 'node-forge', 'protobufjs', 'undici', 'yaml', 'pino', 'etcd3', 'koffi'];

/** Second versions that are known, and why they may be. What only builds and tests use counts never: no bundle has it. */
const knownSeconds: Readonly<Record<string, string>> = {
  'node_modules/etcd3/node_modules/@grpc/proto-loader': 'etcd3 pins it; it reads nothing but etcd\'s own protos, which are put in at build time',
};

/** What is wrong with the dependencies, one sentence each, by what can be known without an advisory service. */
export function audit({ lock, manifests }: AuditInput): string[] {
  const entries = Object.entries(lock.packages).filter(([path, { link }]) => path.includes('node_modules/') && !link);
  return [...entries.flatMap(([path, entry]) => entryProblems(path, entry)), ...seconds(entries), ...Object.entries(manifests).flatMap(([path, manifest]) => manifestProblems(path, manifest))];
}

function entryProblems(path: string, entry: LockEntry): string[] {
  const { version = '', resolved = '', integrity = '', license = '' } = entry;
  const problems: string[] = [];
  if (!/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity) && !isForAnotherPlatform(entry)) problems.push('has no sha512 integrity hash: what is installed could be anything');
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) problems.push(`is pinned to "${version}", which is no version`);
  if (/^(git|http:|file:|ssh:)|\.git(#|$)/.test(resolved)) problems.push(`comes from ${resolved}, not from a registry over HTTPS`);
  if (entry.hasInstallScript && !(nameOf(path) in mayRunAtInstall)) problems.push('runs a script when it is installed: enter it in tools/ci/audit-rules.ts with the reason, or do without it');
  if (!isLicensed(license)) problems.push(`has the licence "${license}", which is not on the list of tools/ci/audit-rules.ts`);
  if (entry.deprecated) problems.push(`is deprecated: ${entry.deprecated}`);
  return problems.map((problem) => `${path} ${problem}`);
}

/** tools/ci/complete-lock.mjs enters these by name; nothing of them is ever installed here. */
function isForAnotherPlatform({ optional, os = [], cpu = [], libc = [] }: LockEntry): boolean {
  return optional === true && os.length > 0 && (!os.includes('linux') || libc.includes('musl') || !cpu.includes('x64'));
}

function isLicensed(license: string): boolean {
  const words = license.replaceAll(/[()]/g, '').split(/ (AND|OR) /);
  const named = words.filter((_, i) => i % 2 === 0);
  return words.includes('OR') ? named.some((one) => licences.has(one)) : named.every((one) => licences.has(one));
}

function seconds(entries: readonly (readonly [string, LockEntry])[]): string[] {
  return securityRelevant.flatMap((name) => {
    const found = entries.filter(([path, { dev }]) => nameOf(path) === name && !dev && !(path in knownSeconds));
    const majors = new Set(found.map(([, { version = '' }]) => /^(?:0\.)?\d+/.exec(version)?.[0]));
    return majors.size > 1 ? [`${name} is there in ${majors.size} major versions: ${found.map(([path, { version }]) => `${path} ${version}`).join(', ')}`] : [];
  });
}

/** "node_modules/a/node_modules/@b/c" → "@b/c". */
function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

/** Scripts that npm runs by itself when somebody installs. */
const installScripts = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish'];

function manifestProblems(path: string, manifest: Manifest): string[] {
  const pins = (['dependencies', 'devDependencies', 'optionalDependencies'] as const).flatMap((field) => Object.entries(manifest[field] ?? {}));
  return [
    ...pins.flatMap(([name, pin]) => (/^(?:npm:(?:@[\w.-]+\/)?[\w.-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(pin) ? [] : [`${path} asks for ${name} "${pin}": pin one version, from a registry`])),
    ...installScripts.flatMap((script) => (manifest.scripts?.[script] === undefined ? [] : [`${path} has a script "${script}", which npm runs by itself`])),
  ];
}
