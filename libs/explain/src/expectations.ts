import { list, object, oneOf, optional, required, string, int, type Config, type Struct } from '@meltemi/config';
import type { FieldError } from '@meltemi/base';
import type { Features } from '@meltemi/pilot';
import type { Answer, Origin, Outcome } from './answer.ts';
import { outcomes } from './answer.ts';
import type { LoadedMesh } from './load.ts';
import { callSchema, proxySchema, type Call, type ProxyQuestion } from './question.ts';
import { MeshViews } from './mesh-views.ts';
import { walk } from './walk/walk.ts';

/** What a call must come to; fields left out are not compared. */
export interface Expected {
  readonly outcome: Outcome;
  readonly listener?: string;
  readonly filterChain?: string;
  readonly virtualHost?: string;
  readonly route?: string;
  readonly cluster?: string;
  readonly clusters?: readonly { readonly name: string; readonly weight: number }[];
  readonly status?: number;
  readonly grpcStatus?: number;
  readonly location?: string;
  readonly policy?: string;
  readonly rule?: string;
  /** What the upstream sees. */
  readonly path?: string;
  readonly authority?: string;
}

export interface Expectation {
  readonly name: string;
  readonly proxy?: ProxyQuestion;
  readonly call: Call;
  readonly expect: Expected;
}

/** `kind: MeshTest`, apiVersion meltemi.io/v1alpha1: expectations beside the configuration. */
interface MeshTestSpec {
  /** For tests that name none of their own. */
  readonly proxy?: ProxyQuestion;
  readonly tests: readonly Expectation[];
}

const expected = object<Expected>({
  outcome: required(oneOf(outcomes)),
  listener: optional(string()), filterChain: optional(string()), virtualHost: optional(string()), route: optional(string()), cluster: optional(string()),
  clusters: optional(list(object<{ readonly name: string; readonly weight: number }>({ name: required(string()), weight: int('uint32') }))),
  status: optional(int('uint32')), grpcStatus: optional(int('uint32')), location: optional(string()), policy: optional(string()), rule: optional(string()), path: optional(string()), authority: optional(string()),
});

const expectation = object<Expectation>({ name: string(), proxy: optional(proxySchema), call: required(callSchema), expect: required(expected) });
const meshTest = object<MeshTestSpec>({ proxy: optional(proxySchema), tests: list(expectation, { minItems: 1 }) });

export const meshTestGroup = 'meltemi.io';

/** One expectation of a MeshTest, ready to run. */
export interface MeshTest {
  /** "object: test" */
  readonly name: string;
  readonly origin: Origin;
  readonly proxy: ProxyQuestion;
  readonly call: Call;
  readonly expect: Expected;
}

/** The MeshTests among the objects; errors name the object and the field. */
export function meshTestsOf(mesh: LoadedMesh): { readonly tests: readonly MeshTest[]; readonly problems: readonly { readonly origin: Origin; readonly errors: readonly FieldError[] }[] } {
  const tests: MeshTest[] = [];
  const problems: { origin: Origin; errors: readonly FieldError[] }[] = [];
  for (const config of mesh.configs.filter(({ key }) => key.kind === 'MeshTest' && key.group === meshTestGroup)) {
    const errors: FieldError[] = [];
    const spec = meshTest.decode(specOf(config), 'spec', errors);
    if (errors.length > 0) problems.push({ origin: mesh.originOf(config.key, errors[0]?.path ?? ''), errors });
    else for (const [i, test] of spec.tests.entries()) tests.push(runnable(mesh, config, { spec, test, i }));
  }
  return { tests, problems };
}

function specOf(config: Config): unknown {
  // of a group that is not the mesh's own, `spec` is the whole object
  return (config.spec as Struct)['spec'] ?? {};
}

function runnable(mesh: LoadedMesh, { key }: Config, { spec, test, i }: { spec: MeshTestSpec; test: Expectation; i: number }): MeshTest {
  const proxy = test.proxy ?? spec.proxy ?? proxySchema.missing('', []);
  return { name: `${key.name}: ${test.name || i}`, origin: mesh.originOf(key, `spec.tests[${i}]`), proxy, call: test.call, expect: test.expect };
}

/** How an expectation came out; `differences` is empty when it holds. */
export interface MeshTestResult {
  readonly test: MeshTest;
  readonly answer?: Answer;
  /** "cluster: expected a, is b" */
  readonly differences: readonly string[];
}

/** Runs every expectation; proxies that are described alike are looked at once. */
export function runMeshTests(mesh: LoadedMesh, tests: readonly MeshTest[], { nowMs, features }: { readonly nowMs: number; readonly features?: Features }): MeshTestResult[] {
  const views = new MeshViews(mesh, features);
  return tests.map((test) => {
    const view = views.of(test.proxy);
    if (!view.ok) return { test, differences: view.error.map(({ path, message }) => `proxy: ${path} ${message}`) };
    const answer = walk(view.value, test.call, nowMs);
    return { test, answer, differences: differencesOf(answer, test.expect) };
  });
}

/** What an answer has otherwise than expected. */
export function differencesOf(answer: Answer, expect: Expected): string[] {
  const seen: Readonly<Record<string, unknown>> = { ...answer, path: answer.settings?.path, authority: answer.settings?.authority };
  return Object.entries(expect).flatMap(([field, wanted]) => {
    const is = seen[field];
    if (JSON.stringify(is) === JSON.stringify(wanted)) return [];
    return [`${field}: expected ${JSON.stringify(wanted)}, is ${is === undefined ? 'not there' : JSON.stringify(is)}`];
  });
}
