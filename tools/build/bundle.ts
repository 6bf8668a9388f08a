// Makes one self-contained bundle of the app in the current folder: dist/main.js (and dist/worker.js where src/worker.ts exists).
// The bundle runs with nothing but Node: no node_modules beside it.
import { existsSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';

const app = process.cwd();
const require = createRequire(import.meta.url);

/** etcd3 reads its .proto files from disk at load; a bundle has no such files, so the parsed form is put in their place. */
const embedProtos: Plugin = {
  name: 'embed-etcd-protos',
  setup(builder) {
    builder.onLoad({ filter: /etcd3[\\/]lib[\\/]connection-pool\.js$/ }, async (args) => {
      const { readFile } = await import('node:fs/promises');
      const protobuf = require('protobufjs') as { Root: new () => { loadSync(path: string, options: { keepCase: boolean }): { toJSON(): unknown } } };
      const text = await readFile(args.path, 'utf8');
      const json = JSON.stringify(new protobuf.Root().loadSync(resolve(args.path, '../../proto/rpc.proto'), { keepCase: true }).toJSON());
      const contents = text.replace(/grpc_proto_loader_1\.loadSync|proto_loader_1\.loadSync|\(0, \w+\.loadSync\)|\bloader\.loadSync/, '((_path, options) => require("@grpc/proto-loader").fromJSON(' + json + ', options))');
      if (contents === text && /loadSync/.test(text)) throw new Error('etcd3 loads its protos in a new way: mend tools/build/bundle.ts');
      return { contents, loader: 'js' };
    });
  },
};

const banner = `import { createRequire as __createRequire } from 'node:module';
import { fileURLToPath as __fileURLToPath } from 'node:url';
import { dirname as __dirnameOf } from 'node:path';
const require = __createRequire(import.meta.url);
const __filename = __fileURLToPath(import.meta.url);
const __dirname = __dirnameOf(__filename);`;

const entryPoints = ['main', 'worker'].map((name) => join(app, `src/${name}.ts`)).filter((file) => existsSync(file));
const outdir = join(app, 'dist');
rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints, outdir, bundle: true, platform: 'node', target: 'node26', format: 'esm', banner: { js: banner }, sourcemap: 'linked',
  minifySyntax: true, legalComments: 'none', logLevel: 'warning', plugins: [embedProtos],
  // Optional accelerators and pretty printers that a program must work without.
  external: ['pino-pretty', 'bufferutil', 'utf-8-validate'],
});
for (const entry of entryPoints) {
  const file = join(outdir, entry.slice(entry.lastIndexOf('/') + 1).replace(/\.ts$/, '.js'));
  console.log(`${file.slice(app.length + 1)} ${Math.round(statSync(file).size / 1024)} kB`);
}
