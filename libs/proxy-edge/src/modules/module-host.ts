import { createRequire, registerHooks } from 'node:module';
import { err, ok, type Result } from '@meltemi/base';
import * as authoring from '@meltemi/proxy/filter';

/** One version of a module: what a thread evaluates, whatever the file says by then. */
export interface ModuleSource {
  /** As configs name it. */
  readonly module: string;
  /** Its file: URL with a hash of the text in the name (greet~1f0a….ts): every version is a module of its own, and imports as from its file. */
  readonly url: string;
  readonly format: 'module' | 'module-typescript';
  readonly text: string;
}

const authoringName = '@meltemi/proxy/filter';
const authoringUrl = 'meltemi:filter';
/** How the module under `authoringUrl` finds this program's own objects: a bundle has no files to import them from. */
const authoringKey = Symbol.for('meltemi.filter');

const known = new Map<string, ModuleSource>();
const conditions = ['node', 'import', 'module-sync', 'node-addons'];
const require = createRequire(import.meta.url);
/** Where a package is being looked for; null but during that call. */
let packagesOf: string | null = null;
let hooked = false;

/** Evaluates a module in this thread, once per version; the value is its namespace. */
export function evaluateModule(source: ModuleSource): Result<Readonly<Record<string, unknown>>, string> {
  hook();
  known.set(source.url, source);
  try {
    return ok(require(source.url) as Readonly<Record<string, unknown>>);
  } catch (cause) {
    return err(reasonOf(cause));
  }
}

/** The file of a package as import finds it from `folder`. */
export function resolvePackage(name: string, folder: string): string {
  hook();
  packagesOf = folder;
  try {
    return createRequire(folder).resolve(name);
  } finally {
    packagesOf = null;
  }
}

/** Whether an error comes from a loaded module, by its stack. */
export function comesFromModule(error: unknown): string | null {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  for (const { module, url } of known.values()) if (stack.includes(url)) return module;
  return null;
}

function hook(): void {
  if (hooked) return;
  hooked = true;
  Object.defineProperty(globalThis, authoringKey, { value: authoring });
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === authoringName) return { url: authoringUrl, format: 'module', shortCircuit: true };
      const source = known.get(specifier);
      if (source) return { url: source.url, format: source.format, shortCircuit: true };
      return packagesOf === null ? next(specifier, context) : next(specifier, { ...context, conditions });
    },
    load(url, context, next) {
      if (url === authoringUrl) return { format: 'module', source: authoringText(), shortCircuit: true };
      const source = known.get(url);
      return source ? { format: source.format, source: source.text, shortCircuit: true } : next(url, context);
    },
  });
}

function authoringText(): string {
  return `export const { ${Object.keys(authoring).join(', ')} } = globalThis[Symbol.for('meltemi.filter')];`;
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return `it threw ${String(cause)}`;
  const code = (cause as { code?: unknown }).code;
  if (code === 'ERR_REQUIRE_ASYNC_MODULE') return 'it awaits at its top level: do that work in bind, or later';
  const text = cause.message.split('\n')[0] ?? '';
  return `it does not load: ${cause.name === 'Error' ? text : `${cause.name}: ${text}`}`;
}
