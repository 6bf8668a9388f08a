import { getBuiltinModule } from 'node:process';
import type { Plugin } from 'esbuild';

/**
 * `import { x } from 'node:y'` makes Node read everything that y exports, and with it what is there only for those who ask: webcrypto, the
 * certificates of all authorities, fs.promises, parseArgs. That is 1 MB in each thread of the proxy. Here only what is used is read.
 */
export const readBuiltins: Plugin = {
  name: 'read-builtins',
  setup(builder) {
    builder.onResolve({ filter: /^node:/ }, ({ path, kind }) => (kind === 'import-statement' && getBuiltinModule(path) !== undefined ? { path, namespace: 'builtin', sideEffects: false } : undefined));
    builder.onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => {
      const names = Object.keys(getBuiltinModule(path) ?? {}).filter((name) => name !== 'default');
      const contents = [`const $builtin = process.getBuiltinModule(${JSON.stringify(path)});`, 'const $read = (name) => $builtin[name];', 'export default $builtin;', ...names.map((name) => `export const ${name} = /* @__PURE__ */ $read('${name}');`)];
      return { contents: contents.join('\n'), loader: 'js' };
    });
  },
};
