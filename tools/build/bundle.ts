// Makes one self-contained bundle of the app in the current folder: dist/main.js (and dist/worker.js where src/worker.ts exists);
// an argument is the folder to put it in instead of dist.
// The bundle runs with nothing but Node. Where it asks for the optional native helper, this platform's copy goes into dist/node_modules, and
// the program also runs without it. dist/sbom.cdx.json lists every package of which something is in the bundle (CycloneDX).
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { readBuiltins } from './read-builtins.ts';
import { sbomOf, type Program } from './sbom.ts';

const app = process.cwd();
const repository = resolve(import.meta.dirname, '../..');
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

/**
 * Generated files hold a gRPC client for each service beside its messages. Who needs only the messages (the proxy's workers, which call over
 * their own HTTP/2) must not carry all of grpc-js for it.
 */
const leaveUnusedClients: Plugin = {
  name: 'leave-unused-grpc-clients',
  setup(builder) {
    builder.onResolve({ filter: /^@grpc\/grpc-js$/ }, async ({ path, resolveDir, pluginData, ...rest }) => {
      if (pluginData === 'resolved') return undefined;
      const found = await builder.resolve(path, { resolveDir, kind: rest.kind, pluginData: 'resolved' });
      return { path: found.path, sideEffects: false };
    });
    builder.onLoad({ filter: /libs[\\/]api[\\/]src[\\/]gen[\\/].*\.ts$/ }, async ({ path }) => {
      const { readFile } = await import('node:fs/promises');
      return { contents: (await readFile(path, 'utf8')).replaceAll('= makeGenericClientConstructor(', '= /* @__PURE__ */ makeGenericClientConstructor('), loader: 'ts' };
    });
  },
};

/** Calls C functions: the socket options that Node does not give. Native code cannot be bundled. */
const nativeHelper = 'koffi';

/** Only what runs: not the sources that the package carries to build itself. Returns the folders of the packages that it copied. */
function copyNativeHelper(): readonly string[] {
  const native = `@koromix/koffi-${process.platform}-${process.arch}`;
  const modules = join(repository, 'node_modules');
  const to = join(outdir, 'node_modules');
  if (!existsSync(join(modules, native))) {
    console.log(`${nativeHelper} is not installed for this platform: the bundle does without`);
    return [];
  }
  for (const file of ['package.json', 'LICENSE.txt', 'index.js', 'index.cjs', 'src/koffi/index.js', 'src/koffi/index.cjs', 'src/koffi/src/static.js', 'src/koffi/src/static.cjs']) cpSync(join(modules, nativeHelper, file), join(to, nativeHelper, file));
  cpSync(join(modules, native), join(to, native), { recursive: true });
  return [join(modules, nativeHelper), join(modules, native)];
}

const banner = `import { createRequire as __createRequire } from 'node:module';
import { fileURLToPath as __fileURLToPath } from 'node:url';
import { dirname as __dirnameOf } from 'node:path';
const require = __createRequire(import.meta.url);
const __filename = __fileURLToPath(import.meta.url);
const __dirname = __dirnameOf(__filename);`;

const entryPoints = ['main', 'worker'].map((name) => join(app, `src/${name}.ts`)).filter((file) => existsSync(file));
const outdir = resolve(process.argv[2] ?? 'dist');
rmSync(outdir, { recursive: true, force: true });
// Apart, or what both load would drag everything of the one into the other. Splitting keeps what the program imports late out of its first file.
const outputs = (await Promise.all(entryPoints.map(async (entry) => {
  const { metafile } = await build({
    entryPoints: [entry], outdir, bundle: true, platform: 'node', target: 'node26', format: 'esm', banner: { js: banner }, sourcemap: 'linked',
    splitting: true, chunkNames: 'chunk-[hash]', minifySyntax: true, minifyWhitespace: true, legalComments: 'none', logLevel: 'warning', plugins: [embedProtos, leaveUnusedClients, readBuiltins],
    // Optional accelerators and pretty printers that a program must work without.
    external: ['pino-pretty', 'bufferutil', 'utf-8-validate', nativeHelper], metafile: true,
  });
  return Object.values(metafile.outputs);
}))).flat();
const copied = outputs.some((output) => output.imports.some(({ path }) => path === nativeHelper)) ? copyNativeHelper() : [];
const bundled = outputs.flatMap(({ inputs }) => Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [join(app, file)] : [])));
writeFileSync(join(outdir, 'sbom.cdx.json'), `${JSON.stringify(sbomOf(JSON.parse(readFileSync(join(app, 'package.json'), 'utf8')) as Program, [...bundled, ...copied], repository), null, 2)}\n`);
for (const file of readdirSync(outdir)) {
  // One character beyond ASCII may double what V8 keeps of the whole file.
  const beyond = file.endsWith('.js') ? /[^\0-\x7f].{0,40}/.exec(readFileSync(join(outdir, file), 'utf8')) : null;
  if (beyond) throw new Error(`${file} is not ASCII (a regular expression?): ${beyond[0]}`);
}
for (const entry of entryPoints) {
  const file = join(outdir, entry.slice(entry.lastIndexOf('/') + 1).replace(/\.ts$/, '.js'));
  console.log(`${relative(app, file)} ${Math.round(statSync(file).size / 1024)} kB`);
}
