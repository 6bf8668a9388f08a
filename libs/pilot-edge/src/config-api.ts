import { status, type ServerWritableStream } from '@grpc/grpc-js';
import type { Clock, FieldError, Result } from '@meltemi/base';
import {
  ItemResult_Action, WatchEvent_Type,
  type ApplyRequest, type ApplyResponse, type ConfigServiceServer, type DeleteRequest, type DeleteResponse, type ItemResult,
  type Object as ApiObject, type ObjectKey, type WaitProgress, type WaitRequest, type WatchEvent, type WatchRequest,
} from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { decode, keyText, matchesFilter, toRawObject, type Config, type ConfigKey, type ConfigStore, type RawObject, type StoreError, type StoreFilter, type StoreWrite } from '@meltemi/config';
import { patchesSetAside, type PushContext } from '@meltemi/pilot';
import type { AccessPolicy } from './access/access-policy.ts';
import type { ApiCaller, IdentifiedCall } from './access/api-caller.ts';
import type { AuditTrail } from './access/audit-trail.ts';
import { audited, type ChangeBy } from './access/audited-change.ts';
import { CallerAccess } from './access/config-access.ts';
import { ApiError, unary } from './api-call.ts';
import type { CacheChange, CacheEntry, ConfigCache } from './config-cache.ts';
import type { Discovery } from './discovery.ts';
import type { ExpectationGate } from './expectations/gate.ts';
import type { PilotDirectory } from './peers/pilot-directory.ts';
import { entryOf, registeredEntries } from './registered-entries.ts';
import { isBlankSecret, shownContent } from './shown-content.ts';
import { waitForRevision } from './wait.ts';

export interface ConfigApiParts {
  readonly store: ConfigStore;
  readonly cache: ConfigCache;
  readonly discovery: Discovery;
  readonly clock: Clock;
  /** Subscribes to changes after they took effect; returns how to stop. */
  readonly onChange: (listener: (changes: readonly CacheChange[]) => void) => () => void;
  readonly log: { info(fields: object, message: string): void };
  /** Expectations that changes are held against; left out: none. */
  readonly expectations?: ExpectationGate | undefined;
  /** Who calls, by what the door proves; throws ApiError for nobody. */
  readonly identify: (call: IdentifiedCall) => ApiCaller;
  /** Who may do what, as of now. */
  readonly policy: () => AccessPolicy;
  /** WorkloadEntries of proxies that registered themselves; left out: none. */
  readonly registered?: () => readonly Config[];
  /** The other pilots over the same store, and what this one is called; left out: there are none. */
  readonly pilots?: PilotDirectory | undefined;
  readonly node?: string;
  /** Every change asked for is written there, made or not. */
  readonly audit: AuditTrail;
}

const maxItems = 1000;
/** Of one object as JSON: what etcd takes in one value, with room for what pilot adds. */
const maxObjectBytes = 1024 * 1024;
const defaultWaitMs = 30_000;
const maxWaitMs = 600_000;
const conflictRetries = 5;
const maxQueuedWatchEvents = 10_000;

/** The gRPC config API (proto/meltemi/config/v1): validates before it stores, writes all of a request or none of it. */
export function configService(parts: ConfigApiParts): ConfigServiceServer {
  const access = (call: IdentifiedCall) => new CallerAccess(parts.identify(call), parts.policy);
  return {
    apply: unary((request: ApplyRequest, call) => audited(parts.audit, { access: access(call), verb: 'apply', dryRun: request.dryRun }, (by) => inTurn(parts, () => apply(parts, by, request)))),
    delete: unary((request: DeleteRequest, call) => audited(parts.audit, { access: access(call), verb: 'delete', dryRun: request.dryRun }, (by) => inTurn(parts, () => remove(parts, by, request)))),
    get: unary(async ({ key }: { key?: ObjectKey | undefined }, call) => {
      if (key) access(call).must('get', key);
      const entry = key && entryOf(parts, key);
      if (!entry) throw new ApiError(status.NOT_FOUND, `${describe(key)} does not exist`);
      return shown(parts)(entry);
    }),
    list: unary(async (request: WatchRequest, call) => {
      const by = access(call);
      by.mustSeeSome('list', filterOf(request));
      return {
        objects: [...parts.cache.entries(), ...registeredEntries(parts)].filter((entry) => matchesFilter(entry.key, filterOf(request)) && by.sees('list', entry.key)).map(shown(parts)),
        problems: by.mayOwn('list', 'sourceproblems') ? parts.cache.problems().map(({ source, problem }) => ({ source, ...problem })) : [],
      };
    }),
    watch: (call) => streaming(call, () => watch(parts, access(call), call)),
    wait: (call) => streaming(call, () => wait(parts, access(call), call)),
  };
}

/** A stream whose beginning may fail. */
function streaming<Request, Response>(call: ServerWritableStream<Request, Response>, begin: () => void | Promise<void>): void {
  try {
    void begin();
  } catch (cause) {
    call.emit('error', { code: cause instanceof ApiError ? cause.code : status.INTERNAL, details: cause instanceof Error ? cause.message : String(cause) });
  }
}

function inTurn<T>({ expectations }: ConfigApiParts, step: () => Promise<T>): Promise<T> {
  return expectations ? expectations.inTurn(step) : step();
}

/** The results of a change held against the expectations: undefined when it may be made as it is, else to be answered (refused) or made (warned). */
async function heldAgainst(parts: ConfigApiParts, writes: readonly StoreWrite[], results: readonly ItemResult[]): Promise<{ readonly refused: boolean; readonly results: ItemResult[] } | undefined> {
  const { expectations } = parts;
  if (!expectations || writes.length === 0) return undefined;
  const stored = unwrap(await parts.store.list()).objects.map(({ object }) => object);
  const now = [...parts.cache.entries().filter(({ origin }) => origin.resourceVersion === '').map(({ raw }) => raw), ...stored];
  const broken = await expectations.brokenBy({ now, writes });
  if (broken.length === 0) return undefined;
  const said = broken.map((message) => ({ path: '', message }));
  const refused = expectations.mode === 'enforce';
  // The change as a whole is at fault: the first object of it says so.
  const first = results.findIndex(({ action }) => action !== ItemResult_Action.UNCHANGED && action !== ItemResult_Action.NOT_FOUND);
  return { refused, results: results.map((result, at) => (at === first ? (refused ? { ...refusedResult(result.key, said) } : { ...result, warnings: [...result.warnings, ...said] }) : refused ? { ...result, action: ItemResult_Action.UNCHANGED } : result)) };
}

/** Entries as the API shows them, with what proxies would not or did not take of them. */
function shown({ discovery }: ConfigApiParts): (entry: CacheEntry) => ApiObject {
  const patches = discovery.context ? patchesSetAside(discovery.context) : [];
  // patches of an EnvoyFilter are set aside alone: the rest of it is in force
  const aside = new Map<string, { readonly errors: readonly FieldError[]; readonly lastGoodInForce: boolean }>();
  for (const [text, notes] of Map.groupBy(patches, ({ key }) => keyText(key))) aside.set(text, { errors: notes.flatMap(({ errors }) => [...errors]), lastGoodInForce: true });
  for (const { key, errors, lastGoodInForce } of discovery.setAside) aside.set(keyText(key), { errors, lastGoodInForce });
  return (entry) => {
    const found = aside.get(keyText(entry.key));
    if (!found) return apiObject(entry, discovery.context);
    const shownEntry = entry.errors.length === 0 ? { ...entry, errors: found.errors } : entry;
    return { ...apiObject(shownEntry, discovery.context), lastGoodInForce: found.lastGoodInForce };
  };
}

async function apply(parts: ConfigApiParts, by: ChangeBy, request: ApplyRequest): Promise<ApplyResponse> {
  if (request.items.length > maxItems) throw new ApiError(status.INVALID_ARGUMENT, `${request.items.length} objects in one request; the limit is ${maxItems}: apply them in parts`);
  const checked = request.items.map((item) => checkItem(item.json, request.defaultNamespace || 'default'));
  const keys = checked.flatMap((item) => (item.raw ? [item.raw.key] : []));
  by.about(keys);
  // Before anything is said about them: whether an object is there decides between the two.
  for (const key of keys) if (!by.access.decide('create', key).allowed) by.access.must('update', key);
  const duplicates = duplicateKeys(keys);
  const refused = checked.some((item) => item.result.action === ItemResult_Action.REFUSED) || duplicates.size > 0;
  if (refused) {
    const results = checked.map(({ result, raw }) => (raw && duplicates.has(keyText(raw.key)) ? refusedResult(raw.key, [{ path: 'metadata.name', message: `${keyText(raw.key)} is in this request twice: keep one` }]) : result));
    return { results, revision: '' };
  }
  return commitApply(parts, by, { request, items: checked.map(({ raw, result }, index) => ({ raw, result, expected: request.items[index]?.expectedResourceVersion ?? '' })) });
}

interface Checked {
  readonly raw: RawObject | undefined;
  readonly result: ItemResult;
}

/** Parses and validates one item; nothing is written yet. */
function checkItem(json: string, defaultNamespace: string): Checked {
  const raw = parseItem(json, defaultNamespace);
  if (!raw.ok) return { raw: undefined, result: refusedResult(undefined, raw.error) };
  const decoded = decode(raw.value);
  if (!decoded.ok) return { raw: raw.value, result: refusedResult(raw.value.key, decoded.error) };
  if (isBlankSecret(raw.value)) return { raw: raw.value, result: refusedResult(raw.value.key, [{ path: 'data', message: 'every value is blank, as `meltemi get` shows Secrets: apply the file with the values' }]) };
  return { raw: raw.value, result: { key: raw.value.key, action: ItemResult_Action.UNCHANGED, resourceVersion: '', errors: [], warnings: [...decoded.value.warnings] } };
}

function parseItem(json: string, defaultNamespace: string): Result<RawObject> {
  const bytes = Buffer.byteLength(json);
  if (bytes > maxObjectBytes) return { ok: false, error: [{ path: '', message: `has ${bytes} bytes as JSON; an object may have ${maxObjectBytes}: split it` }] };
  let content: unknown;
  try {
    content = JSON.parse(json);
  } catch (cause) {
    return { ok: false, error: [{ path: '', message: `not JSON: ${cause instanceof Error ? cause.message : String(cause)}` }] };
  }
  return toRawObject(inNamespace(content, defaultNamespace));
}

/** The object with the request's namespace where it names none. Cluster-scoped kinds ignore it. */
function inNamespace(content: unknown, namespace: string): unknown {
  if (typeof content !== 'object' || content === null || Array.isArray(content)) return content;
  const { metadata } = content as { metadata?: unknown };
  if (typeof metadata !== 'object' || metadata === null || 'namespace' in metadata || namespace === 'default') return content;
  const raw = toRawObject(content);
  return raw.ok && raw.value.key.namespace === '' ? content : { ...content, metadata: { ...metadata, namespace } };
}

interface Pending {
  readonly raw: RawObject | undefined;
  readonly result: ItemResult;
  readonly expected: string;
}

/** Reads what is there, decides per object, commits against exactly what was read; retries when somebody else wrote in between. */
async function commitApply(parts: ConfigApiParts, { access }: ChangeBy, { request, items }: { readonly request: ApplyRequest; readonly items: readonly Pending[] }): Promise<ApplyResponse> {
  for (let attempt = 0; ; attempt++) {
    const writes: StoreWrite[] = [];
    const results: ItemResult[] = [];
    for (const { raw, result, expected } of items) {
      if (!raw) continue;
      const found = await parts.store.get(raw.key);
      // Something unreadable is there: an apply is how it is mended.
      const unreadable = !found.ok && found.error.code === 'invalid';
      const current = unreadable ? undefined : unwrap(found);
      access.must(current || unreadable ? 'update' : 'create', raw.key);
      if (expected !== '' && current?.resourceVersion !== expected)
        throw new ApiError(status.FAILED_PRECONDITION, `${keyText(raw.key)} has changed: expected resource version ${expected}, found ${current?.resourceVersion ?? 'no such object'}. Read it again and apply on top`);
      if (current && sameContent(current.object, raw)) {
        results.push({ ...result, resourceVersion: current.resourceVersion });
        continue;
      }
      results.push({ ...result, action: current ? ItemResult_Action.CONFIGURED : ItemResult_Action.CREATED });
      writes.push({ type: 'put', object: raw, ...(unreadable ? {} : { expect: current ? { version: current.resourceVersion } : 'absent' }) });
    }
    const held = await heldAgainst(parts, writes, results);
    if (writes.length === 0 || request.dryRun || held?.refused) return { results: held?.results ?? results, revision: '' };
    const done = await parts.store.commit(writes);
    if (done.ok) {
      let at = 0;
      const versions = (held?.results ?? results).map((each) => (each.action === ItemResult_Action.UNCHANGED ? each : { ...each, resourceVersion: done.value.versions[at++] ?? '' }));
        return { results: versions, revision: done.value.storeVersion };
    }
    if (done.error.code !== 'conflict' || attempt >= conflictRetries) throw storeFailure(done.error);
  }
}

async function remove(parts: ConfigApiParts, { access, about }: ChangeBy, request: DeleteRequest): Promise<DeleteResponse> {
  const results: ItemResult[] = [];
  const writes: StoreWrite[] = [];
  if (request.keys.length > maxItems) throw new ApiError(status.INVALID_ARGUMENT, `${request.keys.length} objects in one request; the limit is ${maxItems}: delete them in parts`);
  const keys = [...new Map(request.keys.map((each) => [keyText(each), each])).values()];
  about(keys);
  for (const key of keys) access.must('delete', key);
  for (const key of keys) {
    const found = await parts.store.get(key);
    const there = (!found.ok && found.error.code === 'invalid') || unwrap(found) !== undefined;
    const entry = parts.cache.get(key);
    if (there) {
      writes.push({ type: 'delete', key });
      results.push(itemResult(key, ItemResult_Action.DELETED));
    } else if (entry) {
      const where = entry.origin.location ? `${entry.origin.location.file}:${entry.origin.location.line}` : entry.origin.source;
      results.push(refusedResult(key, [{ path: '', message: `comes from ${where}, which is read-only here: delete it there` }]));
    } else results.push(itemResult(key, ItemResult_Action.NOT_FOUND));
  }
  if (writes.length === 0 || request.dryRun || results.some((result) => result.action === ItemResult_Action.REFUSED)) return { results, revision: '' };
  const held = await heldAgainst(parts, writes, results);
  if (held?.refused) return { results: held.results, revision: '' };
  const done = unwrap(await parts.store.commit(writes));
  return { results: held?.results ?? results, revision: done.storeVersion };
}

function watch(parts: ConfigApiParts, access: CallerAccess, call: ServerWritableStream<WatchRequest, WatchEvent>): void {
  const filter = filterOf(call.request);
  access.mustSeeSome('watch', filter);
  const matching = (entry: CacheEntry) => matchesFilter(entry.key, filter) && access.sees('watch', entry.key);
  const now = parts.cache.entries().filter(matching);
  let queued = 0;
  const send = (type: WatchEvent_Type, entry?: CacheEntry) => {
    queued += 1;
    call.write({ type, object: entry && apiObject(entry) }, () => { queued -= 1; });
  };
  for (const entry of now) send(WatchEvent_Type.ADDED, entry);
  send(WatchEvent_Type.SYNCED);
  const types = { added: WatchEvent_Type.ADDED, modified: WatchEvent_Type.MODIFIED, deleted: WatchEvent_Type.DELETED } as const;
  const stop = parts.onChange((changes) => {
    for (const { type, entry } of changes) if (matching(entry)) send(types[type], entry);
    if (queued <= now.length + maxQueuedWatchEvents) return;
    stop();
    call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: `the client reads too slowly: more than ${maxQueuedWatchEvents} events wait for it. List and watch again` });
  });
  // What proved the caller ends: it comes back with a new certificate, or not at all.
  const { provenUntilMs } = access.caller;
  const endsEarly = provenUntilMs === Infinity ? () => {} : parts.clock.after(provenUntilMs - parts.clock.now(), () => call.emit('error', { code: status.UNAUTHENTICATED, details: 'the client certificate has expired: connect and watch again' }));
  for (const end of ['cancelled', 'close', 'error']) call.on(end, () => {
    stop();
    endsEarly();
  });
}

async function wait(parts: ConfigApiParts, access: CallerAccess, call: ServerWritableStream<WaitRequest, WaitProgress>): Promise<void> {
  const ended = new AbortController();
  call.on('cancelled', () => ended.abort());
  const asked = Number(call.request.timeoutMs);
  const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(Math.min(asked > 0 ? asked : defaultWaitMs, maxWaitMs))]);
  try {
    let last: WaitProgress | undefined;
    const { revision: storeVersion, objects, removed, threshold, generation } = call.request;
    if (objects.length > maxItems) throw new ApiError(status.INVALID_ARGUMENT, `${objects.length} objects in one request; the limit is ${maxItems}`);
    if (objects.length === 0) access.mustOwn('list', 'proxies');
    for (const key of objects) access.must('get', key);
    for await (const progress of waitForRevision(parts, { storeVersion, objects, removed, threshold, generation }, signal)) {
      // A client that does not read misses steps on the way, never the last one.
      last = call.writableNeedDrain ? progress : void call.write(progress);
    }
    if (last) call.write(last);
    call.end();
  } catch (cause) {
    call.emit('error', { code: cause instanceof ApiError ? cause.code : status.INTERNAL, details: cause instanceof Error ? cause.message : String(cause) });
  }
}

function unwrap<T>(result: Result<T, StoreError>): T {
  if (result.ok) return result.value;
  throw storeFailure(result.error);
}

function storeFailure(error: StoreError): ApiError {
  const codes = { conflict: status.ABORTED, invalid: status.INVALID_ARGUMENT, 'too-large': status.INVALID_ARGUMENT, unavailable: status.UNAVAILABLE, closed: status.UNAVAILABLE } as const;
  return new ApiError(codes[error.code], error.message);
}

/** Equal but for what the store and the mesh write into an object themselves. */
function sameContent(a: RawObject, b: RawObject): boolean {
  return stable(a) === stable(b);
}

function stable(raw: RawObject): string {
  const { metadata, status: _status, ...rest } = raw.content as { metadata?: Record<string, unknown>; status?: unknown };
  const { creationTimestamp: _created, resourceVersion: _version, generation: _generation, uid: _uid, managedFields: _fields, ...meta } = metadata ?? {};
  return JSON.stringify(sorted({ ...rest, metadata: { ...meta, namespace: raw.key.namespace } }));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, entry]) => [key, sorted(entry)]));
}

/** An entry as the API shows it. */
export function apiObject(entry: CacheEntry, push?: PushContext): ApiObject {
  const location = entry.origin.location;
  return {
    key: entry.key,
    json: JSON.stringify(shownContent(entry.raw, push)),
    resourceVersion: entry.origin.resourceVersion,
    origin: location && location.file !== '' ? `source:${location.file}:${location.line}` : entry.origin.resourceVersion === '' ? `source:${entry.origin.source}` : 'store',
    quarantine: entry.errors.length > 0 ? { errors: [...entry.errors], locations: location && location.file !== '' ? entry.errors.map(({ path }) => `${location.file}:${location.fieldLines?.[path] ?? location.line}`) : [] } : undefined,
    lastGoodInForce: entry.errors.length > 0 && entry.config !== undefined,
  };
}

function duplicateKeys(keys: readonly ConfigKey[]): ReadonlySet<string> {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const key of keys.map(keyText)) (seen.has(key) ? twice : seen).add(key);
  return twice;
}

function itemResult(key: ConfigKey, action: ItemResult_Action): ItemResult {
  return { key, action, resourceVersion: '', errors: [], warnings: [] };
}

function refusedResult(key: ConfigKey | undefined, errors: readonly FieldError[]): ItemResult {
  return { key, action: ItemResult_Action.REFUSED, resourceVersion: '', errors: [...errors], warnings: [] };
}

function filterOf(request: WatchRequest): StoreFilter {
  return { ...(request.group === '' ? {} : { group: request.group }), ...(request.kind === '' ? {} : { kind: request.kind }), ...(request.namespace === '' ? {} : { namespace: request.namespace }) };
}

function describe(key: ObjectKey | undefined): string {
  return key ? `${key.kind} ${key.namespace === '' ? '' : `${key.namespace}/`}${key.name}` : 'the object';
}
