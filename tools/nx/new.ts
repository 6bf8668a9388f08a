// `npm run new -- …`: what people add most, written where it belongs and registered, with a test that passes. The same generators run by
// `npx nx g meltemi-tools:<generator>`.
import { execSync } from 'node:child_process';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import command from './generators/command.ts';
import configKind from './generators/config-kind.ts';
import httpFilter, { afterwards } from './generators/http-filter.ts';
import { DiskTree } from './tree.ts';

const usage = `npm run new -- <what> <name> [options]

  http-filter rate-limit                          a filter on both planes, with its config message
  config-kind RateLimit --group example.dev       a kind of object; --plural ratelimits, --version v1
  command rate-limit                              meltemi rate-limit`;

const workspace = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

function main(): number {
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: { group: { type: 'string' }, plural: { type: 'string' }, version: { type: 'string' }, help: { type: 'boolean', short: 'h' } } });
    const [what, name, ...rest] = positionals;
    if (values.help) {
      console.log(usage);
      return 0;
    }
    if (what === undefined || name === undefined || rest.length > 0) throw new Error('say what and its name');
    const tree = new DiskTree(workspace);
    const { group, plural, version } = values;
    if (what === 'command') command(tree, { name });
    else if (what === 'http-filter') httpFilter(tree, { name });
    else if (what === 'config-kind' && group !== undefined) configKind(tree, { name, group, ...(plural === undefined ? {} : { plural }), ...(version === undefined ? {} : { version }) });
    else throw new Error(what === 'config-kind' ? 'a config kind needs --group' : `there is no generator "${what}"`);
    for (const line of tree.flush()) console.log(line);
    if (what === 'http-filter') execSync(afterwards, { cwd: workspace, stdio: 'inherit' });
    return 0;
  } catch (cause) {
    console.error(`${cause instanceof Error ? cause.message : String(cause)}\n\n${usage}`);
    return 2;
  }
}

process.exitCode = main();
