import { insertBefore, insertImport } from '../insert.ts';
import { names } from '../names.ts';
import { template } from '../template.ts';
import { create, update, type Tree } from '../tree.ts';

export interface HttpFilterOptions {
  /** rate-limit: the folder's name on both planes. */
  readonly name: string;
}

/** What must run after the files are written. */
export const afterwards = 'node tools/generate/protos.ts';

/** An HTTP filter on both planes, its config message, tests, and its place in both lists. Generate stubs afterwards (`afterwards`). */
export default function httpFilter(tree: Tree, options: HttpFilterOptions): void {
  const name = names(options.name);
  const proto = `meltemi/filters/http/${name.snake}/v1/${name.snake}.proto`;
  create(tree, `proto/${proto}`, template('http-filter/config.proto', { ...name }));
  update(tree, 'tools/generate/roots.ts', (text) => insertBefore(text, "  'meltemi/config/v1/config.proto',", `  '${proto}',\n`));
  const folder = `libs/proxy/src/filters/http/${name.kebab}`;
  create(tree, `${folder}/${name.kebab}.ts`, template('http-filter/filter.ts', { ...name }));
  create(tree, `${folder}/${name.kebab}.test.ts`, template('http-filter/filter.test.ts', { ...name }));
  update(tree, 'libs/proxy/src/filters/registry.ts', (text) => {
    const imported = insertImport(text, `import { ${name.camel}Filter } from './http/${name.kebab}/${name.kebab}.ts';`, './http/');
    return insertBefore(imported, '  // Sees what all others did.\n', `  ${name.camel}Filter,\n`);
  });
  update(tree, 'libs/proxy/src/filters/http-filters.contract.test.ts', (text) => insertBefore(text, "  'istio.stats': {", `  'meltemi.filters.http.${name.snake}': { config: { response_header: 'x-a' }, least: { response_header: 'x-a' } },\n`));
  const feature = `libs/pilot/src/translate/features/${name.kebab}`;
  create(tree, `${feature}.ts`, template('http-filter/feature.ts', { ...name }));
  create(tree, `${feature}.test.ts`, template('http-filter/feature.test.ts', { ...name }));
  update(tree, 'libs/pilot/src/translate/features/http-filters.ts', (text) => {
    const imported = insertImport(text, `import { ${name.camel} } from './${name.kebab}.ts';`, './');
    return insertBefore(imported, '  stats, //', `  ${name.camel}, // say why it stands here\n`);
  });
}
