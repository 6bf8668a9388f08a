// Generates libs/api/src/gen (ts-proto stubs) and libs/api/src/gen/descriptors.ts (the descriptor set, for strict JSON).
// Sources: proto/ (ours) and the Envoy, xds and googleapis protos that @grpc/grpc-js-xds carries. `--check` fails when the result differs.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { roots } from './roots.ts';

const repo = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const target = join(repo, 'libs/api/src/gen');
const bin = join(repo, 'node_modules/.bin');
const require = createRequire(import.meta.url);

const tsProtoOptions = [
  'outputServices=grpc-js', 'env=node', 'esModuleInterop=true', 'importSuffix=.ts', 'oneof=unions-value', 'useOptionals=messages',
  'unrecognizedEnum=true', 'forceLong=bigint', 'enumsAsLiterals=true', 'exportCommonSymbols=false', 'useDate=false', 'comments=false',
  'outputPartialMethods=false', 'outputJsonMethods=false',
].join(',');

/** grpc-js-xds ships a validate.proto older than its Envoy files; the missing rule is added to a copy. */
function patchedValidateProto(deps: string, into: string): void {
  const numbers: Record<string, number> = { StringRules: 26, BytesRules: 14, RepeatedRules: 5, MapRules: 6 };
  const text = readFileSync(join(deps, 'protoc-gen-validate/validate/validate.proto'), 'utf8');
  const patched = text.replace(/message (\w+Rules) \{([\s\S]*?)\n\}/g, (whole, name: string, body: string) => {
    const number = numbers[name] ?? (/^(Float|Double|U?Int\d+|SInt\d+|S?Fixed\d+|SFixed\d+)Rules$/.test(name) ? 8 : undefined);
    if (number === undefined || body.includes('ignore_empty')) return whole;
    return `message ${name} {${body}\n    optional bool ignore_empty = ${number};\n}`;
  });
  mkdirSync(join(into, 'validate'), { recursive: true });
  writeFileSync(join(into, 'validate/validate.proto'), patched);
}

/** Fields that Envoy has gained since grpc-js-xds took its protos: what stands before, and what follows it or takes its place. */
const newerFields: readonly { readonly file: string; readonly imports?: readonly string[]; readonly before: string; readonly added: string; readonly instead?: boolean }[] = [
  { file: 'envoy/config/cluster/v3/circuit_breaker.proto', imports: ['google/protobuf/duration.proto'], before: 'google.protobuf.UInt32Value min_retry_concurrency = 2;', added: 'google.protobuf.Duration budget_interval = 3;' },
  {
    file: 'envoy/config/core/v3/proxy_protocol.proto', imports: ['envoy/config/core/v3/substitution_format_string.proto'], before: 'ProxyProtocolPassThroughTLVs pass_through_tlvs = 2;',
    added: 'repeated TlvEntry added_tlvs = 3;\n}\n\nmessage TlvEntry {\n  uint32 type = 1;\n  bytes value = 2;\n  SubstitutionFormatString format_string = 3;\n}\n\nmessage PerHostConfig {\n  repeated TlvEntry added_tlvs = 1;',
  },
  { file: 'envoy/type/tracing/v3/custom_tag.proto', before: 'Metadata metadata = 5;', added: 'string value = 6;' },
  {
    file: 'envoy/extensions/upstreams/http/v3/http_protocol_options.proto', imports: ['envoy/config/common/matcher/v3/matcher.proto'],
    before: 'config.core.v3.TypedExtensionConfig header_validation_config = 7;', added: 'message OutlierDetection { config.common.matcher.v3.MatchPredicate error_matcher = 1; }\n  OutlierDetection outlier_detection = 8;',
  },
  {
    file: 'envoy/extensions/filters/http/compressor/v3/compressor.proto', before: 'bool remove_accept_encoding_header = 3;',
    added: 'repeated uint32 uncompressible_response_codes = 4;\n    bool status_header_enabled = 5;',
  },
  { file: 'envoy/extensions/filters/http/ratelimit/v3/rate_limit.proto', before: 'repeated RateLimitConfig rate_limits = 3;', added: 'repeated config.route.v3.RateLimit rate_limits = 3;', instead: true },
  {
    file: 'envoy/extensions/http/original_ip_detection/xff/v3/xff.proto', imports: ['envoy/config/core/v3/address.proto', 'google/protobuf/wrappers.proto'], before: 'uint32 xff_num_trusted_hops = 1;',
    added: 'XffTrustedCidrs xff_trusted_cidrs = 2;\n  google.protobuf.BoolValue skip_xff_append = 3;\n}\n\nmessage XffTrustedCidrs {\n  repeated config.core.v3.CidrRange cidrs = 1;',
  },
];

function patchedEnvoyProtos(deps: string, into: string): void {
  for (const { file, imports = [], before, added, instead = false } of newerFields) {
    const text = readFileSync(join(deps, 'envoy-api', file), 'utf8');
    if (!text.includes(before)) throw new Error(`${file} has other fields than expected`);
    mkdirSync(dirname(join(into, file)), { recursive: true });
    const changed = text.replace(before, instead ? added : `${before}\n  ${added}`);
    writeFileSync(join(into, file), changed.replace(/\nimport /, `\n${imports.map((name) => `import "${name}";\n`).join('')}import `));
  }
}

function generate(out: string): void {
  const work = mkdtempSync(join(tmpdir(), 'meltemi-protos-'));
  try {
    const deps = join(dirname(require.resolve('@grpc/grpc-js-xds/package.json')), 'deps');
    patchedValidateProto(deps, work);
    patchedEnvoyProtos(deps, work);
    const include = [work, join(repo, 'proto'), join(deps, 'envoy-api'), join(deps, 'xds'), join(deps, 'googleapis')].flatMap((path) => ['-I', path]);
    const set = join(work, 'set.bin');
    execFileSync(join(bin, 'protoc'), [...include, '--include_imports', `--descriptor_set_out=${set}`, ...roots], { stdio: 'inherit' });
    const files = fileNames(readFileSync(set)).filter((name) => !/^(validate|udpa\/annotations|xds\/annotations|envoy\/annotations)\//.test(name) && name !== 'google/protobuf/descriptor.proto');
    mkdirSync(out, { recursive: true });
    execFileSync(join(bin, 'protoc'), [...include, `--plugin=protoc-gen-ts_proto=${join(bin, 'protoc-gen-ts_proto')}`, `--ts_proto_out=${out}`, `--ts_proto_opt=${tsProtoOptions}`, ...files], { stdio: 'inherit' });
    writeFileSync(join(out, 'descriptors.ts'), `// Generated by tools/generate/protos.ts. The FileDescriptorSet of every proto here, base64.\nexport const descriptorSet =\n  '${readFileSync(set).toString('base64')}';\n`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The names in a FileDescriptorSet: field 1 of each repeated field 1. */
function fileNames(set: Buffer): string[] {
  const names: string[] = [];
  for (let at = 0; at < set.length;) {
    const [, afterTag] = varint(set, at);
    const [length, start] = varint(set, afterTag);
    const [, nameTag] = varint(set, start);
    const [nameLength, nameStart] = varint(set, nameTag);
    names.push(set.toString('utf8', nameStart, nameStart + nameLength));
    at = start + length;
  }
  return names;
}

function varint(bytes: Buffer, at: number): [value: number, next: number] {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] ?? 0;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, at];
  }
}

function listing(root: string): Map<string, string> {
  const found = new Map<string, string>();
  if (!existsSync(root)) return found;
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) {
      const path = join(entry.parentPath, entry.name);
      found.set(relative(root, path), readFileSync(path, 'utf8'));
    }
  }
  return found;
}

const fresh = mkdtempSync(join(tmpdir(), 'meltemi-api-'));
try {
  generate(fresh);
  if (process.argv.includes('--check')) {
    const [want, have] = [listing(fresh), listing(target)];
    const differing = [...new Set([...want.keys(), ...have.keys()])].filter((name) => want.get(name) !== have.get(name));
    if (differing.length > 0) {
      console.error(`libs/api/src/gen is not what the protos give. Run: npx nx generate api\n${differing.slice(0, 20).join('\n')}`);
      process.exitCode = 1;
    }
  } else {
    rmSync(target, { recursive: true, force: true });
    cpSync(fresh, target, { recursive: true });
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
