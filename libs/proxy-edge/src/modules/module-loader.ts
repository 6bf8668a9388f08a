import { createHash } from 'node:crypto';
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { extname, isAbsolute, join, parse, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fail, ok, type Result } from '@meltemi/base';
import { moduleExtension, moduleTypeUrl, type ModuleLoad, type ModuleRef } from '@meltemi/proxy';
import type { Extensions } from '@meltemi/snapshot';
import { evaluateModule, resolvePackage, type ModuleSource } from './module-host.ts';

const formats: ReadonlyMap<string, ModuleSource['format']> = new Map([['.ts', 'module-typescript'], ['.mts', 'module-typescript'], ['.js', 'module'], ['.mjs', 'module']]);
const maxModuleBytes = 4 * 1024 * 1024;
const typeName = Buffer.from(moduleTypeUrl);

/** Finds users' modules in the folders that an operator allowed, and nowhere else. */
export class ModuleLoader {
  readonly #folders: readonly string[];

  private constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  /** The error names the folder that cannot be used. */
  static of(folders: readonly string[]): Result<ModuleLoader> {
    const real: string[] = [];
    for (const folder of folders) {
      try {
        if (!statSync(folder).isDirectory()) return fail('', `${folder} is not a folder`);
        real.push(realpathSync(folder));
      } catch (cause) {
        return fail('', `${folder}: ${text(cause)}`);
      }
    }
    return ok(new ModuleLoader(real));
  }

  /** The module's newest version, evaluated here; its source is left in `used` for the other threads. */
  load({ module, exportName }: ModuleRef, used: Map<string, ModuleSource>): Result<unknown> {
    let source = used.get(module);
    if (source === undefined) {
      const read = this.#read(module);
      if (!read.ok) return read;
      source = read.value;
      used.set(module, source);
    }
    return exportOf(source, exportName);
  }

  #read(module: string): Result<ModuleSource> {
    const found = this.#find(module);
    if (!found.ok) return found;
    const format = formats.get(extname(found.value));
    if (format === undefined) return fail('', `a filter is an ES module: ${[...formats.keys()].join(', ')}`);
    try {
      const bytes = readFileSync(found.value);
      if (bytes.length > maxModuleBytes) return fail('', 'it is larger than 4 MiB');
      const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
      const { dir, name, ext } = parse(found.value);
      return ok({ module, url: pathToFileURL(join(dir, `${name}~${hash}${ext}`)).href, format, text: bytes.toString('utf8') });
    } catch (cause) {
      return fail('', text(cause));
    }
  }

  /** The real file: links are followed before it is asked whether it lies where it may. */
  #find(module: string): Result<string> {
    let reason = `no folder that --allow-filters-from names has it (${this.#folders.join(', ')})`;
    for (const candidate of isAbsolute(module) ? [() => module] : this.#folders.map((folder) => () => (module.startsWith('./') ? join(folder, module) : resolvePackage(module, join(folder, 'any.js'))))) {
      try {
        const real = realpathSync(candidate());
        if (this.#folders.some((folder) => real.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`))) return ok(real);
        reason = `it lies at ${real}, outside the folders that --allow-filters-from names (${this.#folders.join(', ')})`;
      } catch (cause) {
        if (isAbsolute(module)) reason = text(cause);
      }
    }
    return fail('', reason);
  }
}

/** Whether a resource names any module: most do not, and are compiled without a loader. */
export function namesModule(resource: Uint8Array): boolean {
  return Buffer.from(resource.buffer, resource.byteOffset, resource.byteLength).includes(typeName);
}

/** The extensions with modules loaded this way. */
export function withModules(extensions: Extensions, load: ModuleLoad): Extensions {
  return { ...extensions, httpFilters: new Map([...extensions.httpFilters, [moduleTypeUrl, moduleExtension(load)]]) };
}

/** For a thread that gets its modules from the control thread. */
export function loadFrom(sources: readonly ModuleSource[]): ModuleLoad {
  return ({ module, exportName }) => {
    const source = sources.find((each) => each.module === module);
    return source ? exportOf(source, exportName) : fail('', 'was not sent with the resource that names it');
  };
}

function exportOf(source: ModuleSource, exportName: string): Result<unknown> {
  const evaluated = evaluateModule(source);
  if (!evaluated.ok) return fail('', evaluated.error);
  return ok(Object.hasOwn(evaluated.value, exportName) ? evaluated.value[exportName] : undefined);
}

function text(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
