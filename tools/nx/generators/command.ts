import { insertBefore } from '../insert.ts';
import { names } from '../names.ts';
import { template } from '../template.ts';
import { create, update, type Tree } from '../tree.ts';

export interface CommandOptions {
  /** rate-limit: what a user types. */
  readonly name: string;
}

/** A CLI command: its folder with a test, and its place in the program. */
export default function command(tree: Tree, options: CommandOptions): void {
  const name = names(options.name);
  const folder = `apps/cli/src/commands/${name.kebab}`;
  create(tree, `${folder}/${name.kebab}.ts`, template('command/command.ts', { ...name }));
  create(tree, `${folder}/${name.kebab}.test.ts`, template('command/command.test.ts', { ...name }));
  const entry = `  { names: ['${name.kebab}'], load: async () => (await import('./commands/${name.kebab}/${name.kebab}.ts')).${name.camel}Command },\n`;
  update(tree, 'apps/cli/src/commands.ts', (text) => insertBefore(text, '  // Its script is made from all the others.', entry));
}
