import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The part of Nx's Tree that the generators use: paths are relative to the workspace. */
export interface Tree {
  exists(path: string): boolean;
  read(path: string): Buffer | null;
  write(path: string, text: string): void;
}

/** A Tree that keeps its writes until `flush`, so that a generator that throws changes nothing. */
export class DiskTree implements Tree {
  readonly #root: string;
  readonly #written = new Map<string, string>();

  constructor(root: string) {
    this.#root = root;
  }

  exists(path: string): boolean {
    return this.#written.has(path) || existsSync(join(this.#root, path));
  }

  read(path: string): Buffer | null {
    const written = this.#written.get(path);
    if (written !== undefined) return Buffer.from(written);
    return this.exists(path) ? readFileSync(join(this.#root, path)) : null;
  }

  write(path: string, text: string): void {
    this.#written.set(path, text);
  }

  /** Writes to disk; returns the paths, "create" or "update" before each. */
  flush(): string[] {
    return [...this.#written].map(([path, text]) => {
      const file = join(this.#root, path);
      const verb = existsSync(file) ? 'update' : 'create';
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
      return `${verb} ${path}`;
    });
  }
}

/** Writes a file that must not exist yet. */
export function create(tree: Tree, path: string, text: string): void {
  if (tree.exists(path)) throw new Error(`${path} exists already: choose another name, or remove it first`);
  tree.write(path, text);
}

/** Changes a file that must exist. */
export function update(tree: Tree, path: string, change: (text: string) => string): void {
  const text = tree.read(path);
  if (text === null) throw new Error(`${path} is missing: the generators follow the workspace; mend tools/nx/generators`);
  tree.write(path, change(text.toString('utf8')));
}
