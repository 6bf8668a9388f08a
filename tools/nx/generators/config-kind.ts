import { insertBefore, insertImport } from '../insert.ts';
import { names } from '../names.ts';
import { template } from '../template.ts';
import { create, update, type Tree } from '../tree.ts';

export interface ConfigKindOptions {
  /** RateLimit: the object's kind. */
  readonly name: string;
  /** Its API group, like networking.istio.io. */
  readonly group: string;
  /** Default: the lower-case kind with an s. */
  readonly plural?: string;
  /** Default v1. */
  readonly version?: string;
}

/** A config kind: its folder (types, schema, validation, test), its place in the registry and its export. */
export default function configKind(tree: Tree, options: ConfigKindOptions): void {
  const name = names(options.name);
  const { group, version = 'v1', plural = `${name.pascal.toLowerCase()}s` } = options;
  if (!/^[a-z0-9]+([.-][a-z0-9]+)+$/.test(group)) throw new Error(`--group ${group}: write an API group like networking.istio.io`);
  if (!/^v\d+((alpha|beta)\d+)?$/.test(version)) throw new Error(`--version ${version}: write v1, v1beta1 or v1alpha3`);
  if (!/^[a-z]+$/.test(plural)) throw new Error(`--plural ${plural}: write lower-case letters`);
  const values = { ...name, group, version, plural };
  const folder = `libs/config/src/kinds/${name.kebab}`;
  for (const file of ['types.ts', 'schema.ts', 'validate.ts', 'kind.ts']) create(tree, `${folder}/${file}`, template(`config-kind/${file}`, values));
  create(tree, `${folder}/${name.kebab}.test.ts`, template('config-kind/kind.test.ts', values));
  update(tree, 'libs/config/src/kinds/registry.ts', (text) => {
    const imported = insertImport(text, `import { ${name.camel} } from './${name.kebab}/kind.ts';`, './');
    return insertBefore(imported, '  ...legacyKinds,', `  ${name.camel},\n`);
  });
  update(tree, 'libs/config/src/index.ts', (text) =>
    insertBefore(text, "export { toRawObject,", `export { ${name.camel} } from './kinds/${name.kebab}/kind.ts';\nexport type { ${name.pascal}Spec } from './kinds/${name.kebab}/types.ts';\n`));
}
