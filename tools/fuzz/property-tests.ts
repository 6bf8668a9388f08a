import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** The test files of one package that hold fast-check properties. */
export interface PropertyTests {
  /** Relative to the repository. */
  readonly folder: string;
  /** Relative to the folder. */
  readonly files: readonly string[];
  /** Calls of fc.assert in them. */
  readonly properties: number;
  /** Properties one after another when two files run side by side: what the package's run takes, in properties. */
  readonly turns: number;
}

/** Test files of one package that run side by side. */
export const sideBySide = 2;

/** Finds them in libs, apps and tools; only files whose path contains `only`. */
export function findPropertyTests(repository: string, only = ''): PropertyTests[] {
  const folders = ['libs', 'apps'].flatMap((family) => readdirSync(join(repository, family)).map((name) => `${family}/${name}`)).filter((folder) => existsSync(join(repository, folder, 'package.json')));
  return folders.map((folder) => propertyTests(repository, folder, only)).filter((each) => each.files.length > 0);
}

function propertyTests(repository: string, folder: string, only: string): PropertyTests {
  const root = join(repository, folder);
  const found = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts') && !/\/(node_modules|dist)(\/|$)/.test(entry.parentPath))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => join(folder, file).includes(only))
    .map((file) => ({ file, properties: readFileSync(join(root, file), 'utf8').match(/\bfc\.assert\(/g)?.length ?? 0 }))
    .filter((each) => each.properties > 0);
  const properties = found.reduce((sum, each) => sum + each.properties, 0);
  return { folder, files: found.map((each) => each.file), properties, turns: Math.max(Math.ceil(properties / sideBySide), ...found.map((each) => each.properties)) };
}
