import { type Audiences, parseJwt, type Jwt, type KeySet, jwtStatus, type JwtStatus } from '@meltemi/identity/jwt';
import type { StreamControls } from '../../../filter.ts';
import { applyToken, jwtMetadata, sanitize } from './effects.ts';
import { findTokens, includesPlace, type FoundToken } from './locations.ts';
import type { ProviderRuntime } from './provider-runtime.ts';
import { providersOf, type Requirement } from './requirement.ts';

export interface Authenticators {
  readonly providers: ReadonlyMap<string, ProviderRuntime>;
  readonly cacheHit: { inc(): void };
  readonly cacheMiss: { inc(): void };
}

/** A token that was verified. */
interface Accepted {
  readonly claimant: Claimant;
  readonly jwt: Jwt;
}

/** Told once: null when the requirement is met. */
type Done = (status: JwtStatus | null) => void;

/** A token and who may have made it. */
interface Claimant {
  readonly runtime: ProviderRuntime;
  readonly audiences: Audiences;
  readonly token: FoundToken;
}

/** Checks one request against a requirement: at once when the keys are there, later when they are fetched first. */
export class Authentication {
  readonly #shared: Authenticators;
  readonly #stream: StreamControls;
  #cancelWait: (() => void) | null = null;
  /** Good, but what they do to the request waits until those beside them are, too. */
  #accepted: Accepted[] = [];

  constructor(shared: Authenticators, stream: StreamControls) {
    this.#shared = shared;
    this.#stream = stream;
  }

  start(requirement: Requirement, done: Done): void {
    for (const { provider } of this.#runtimes(providersOf(requirement))) sanitize(provider, this.#stream);
    this.#check(requirement, done);
  }

  /** The stream is over: nothing is told any more. */
  cancel(): void {
    this.#cancelWait?.();
    this.#cancelWait = null;
  }

  #runtimes(names: readonly string[]): ProviderRuntime[] {
    return names.flatMap((name) => this.#shared.providers.get(name) ?? []);
  }

  #check(requirement: Requirement, done: Done): void {
    switch (requirement.kind) {
      case 'none':
        return done(null);
      case 'provider':
        return this.#checkProvider(requirement.provider, requirement.audiences, done);
      case 'optional':
        return this.#checkOptional(this.#runtimes(requirement.providers), requirement.failed, done);
      case 'any':
        return this.#checkAny(requirement.members, 0, null, done);
      case 'all':
        return this.#checkAll(requirement.members, 0, done);
    }
  }

  /** Each fails for a reason of its own; told is the last one that says more than "not mine". */
  #checkAny(members: readonly Requirement[], at: number, reason: JwtStatus | null, done: Done): void {
    const member = members[at];
    if (member === undefined) return done(reason);
    return this.#check(member, (status) => {
      if (status === null) return done(null);
      return this.#checkAny(members, at + 1, saysLittle(status) && reason !== null && !saysLittle(reason) ? reason : status, done);
    });
  }

  #checkAll(members: readonly Requirement[], at: number, done: Done): void {
    const member = members[at];
    if (member === undefined) return done(null);
    return this.#check(member, (status) => (status === null ? this.#checkAll(members, at + 1, done) : done(status)));
  }

  #checkProvider(name: string, audiences: Audiences | null, done: Done): void {
    const [runtime] = this.#runtimes([name]);
    if (runtime === undefined) return done(jwtStatus.unknownIssuer);
    const tokens = findTokens(runtime.provider.locations, this.#stream.request);
    if (tokens.length === 0) return this.#failed(runtime, jwtStatus.missing, done);
    return this.#checkAllTokens(tokens, (token, next) => this.#checkToken({ runtime, audiences: audiences ?? runtime.provider.audiences, token }, next), done);
  }

  /** Tokens of several providers; which one made a token its issuer says. Deviation: with allow_missing every token must be good, in Envoy the last one. */
  #checkOptional(runtimes: readonly ProviderRuntime[], failed: boolean, done: Done): void {
    const tokens = new Map<string, FoundToken>();
    for (const { provider } of runtimes) for (const token of findTokens(provider.locations, this.#stream.request)) tokens.set(`${token.kind} ${token.name} ${token.prefix} ${token.text}`, token);
    this.#checkAllTokens([...tokens.values()], (token, next) => this.#checkAnyones(runtimes, token, failed ? () => next(null) : next), done);
  }

  #checkAnyones(runtimes: readonly ProviderRuntime[], token: FoundToken, done: Done): void {
    const parsed = parseJwt(token.text);
    if (!parsed.ok) return done(parsed.error);
    const here = runtimes.filter(({ provider }) => includesPlace(provider.locations, token));
    const runtime = here.find(({ provider }) => provider.issuer === parsed.value.issuer) ?? here.find(({ provider }) => provider.issuer === '');
    if (runtime === undefined) return done(jwtStatus.unknownIssuer);
    return this.#checkToken({ runtime, audiences: runtime.provider.audiences, token }, done);
  }

  #checkAllTokens(tokens: readonly FoundToken[], check: (token: FoundToken, done: Done) => void, done: Done): void {
    this.#checkTokens(tokens, check, (status) => {
      const accepted = this.#accepted;
      this.#accepted = [];
      if (status === null) for (const { claimant, jwt } of accepted) applyToken(claimant.runtime.provider, claimant.token, jwt, this.#stream);
      done(status);
    });
  }

  /** All must be good: a bad one beside a good one might be the one that an upstream believes. The last is looked at first, as in Envoy. */
  #checkTokens(tokens: readonly FoundToken[], check: (token: FoundToken, done: Done) => void, done: Done): void {
    const last = tokens.at(-1);
    if (last === undefined) return done(null);
    return check(last, (status) => (status === null ? this.#checkTokens(tokens.slice(0, -1), check, done) : done(status)));
  }

  #checkToken(claimant: Claimant, done: Done): void {
    const { runtime, token } = claimant;
    const recalled = runtime.recall(token.text);
    if (runtime.remembers) (recalled === null ? this.#shared.cacheMiss : this.#shared.cacheHit).inc();
    const parsed = recalled === null ? parseJwt(token.text) : null;
    if (parsed?.ok === false) return this.#failed(runtime, parsed.error, done);
    const jwt = recalled ?? parsed?.value;
    if (jwt === undefined) return done(jwtStatus.badFormat);
    const refusal = this.#refusal(claimant, jwt);
    if (refusal !== null) return this.#failed(runtime, refusal, done);
    if (recalled !== null) return this.#accept(claimant, jwt, done);
    const { keys } = runtime;
    if (keys !== null) return this.#verify(claimant, jwt, keys, done);
    this.#cancelWait = runtime.remote?.wait((result) => {
      this.#cancelWait = null;
      if (result.ok) this.#verify(claimant, jwt, result.value, done);
      else this.#failed(runtime, result.error, done);
    }) ?? null;
    return undefined;
  }

  /** What is wrong with its claims; null when nothing is. */
  #refusal({ runtime: { provider }, audiences }: Claimant, jwt: Jwt): JwtStatus | null {
    if (provider.issuer !== '' && provider.issuer !== jwt.issuer) return jwtStatus.unknownIssuer;
    const now = Math.floor(this.#stream.clock.now() / 1000);
    if (now + provider.clockSkewSeconds < jwt.notBefore) return jwtStatus.notYetValid;
    if (jwt.expires !== null && now > jwt.expires + provider.clockSkewSeconds) return jwtStatus.expired;
    if (provider.subjects !== null && !provider.subjects.matches(jwt.subject)) return jwtStatus.verificationFails;
    if (provider.maxLifetimeSeconds !== null && (jwt.expires === null || jwt.expires - now >= provider.maxLifetimeSeconds)) return jwtStatus.verificationFails;
    return audiences.allow(jwt.audiences) ? null : jwtStatus.audienceNotAllowed;
  }

  #verify(claimant: Claimant, jwt: Jwt, keys: KeySet, done: Done): void {
    const status = keys.verify(jwt);
    if (status !== null) return this.#failed(claimant.runtime, status, done);
    claimant.runtime.remember(claimant.token.text, jwt, keys);
    return this.#accept(claimant, jwt, done);
  }

  #accept(claimant: Claimant, jwt: Jwt, done: Done): void {
    this.#accepted.push({ claimant, jwt });
    done(null);
  }

  #failed({ provider }: ProviderRuntime, status: JwtStatus, done: Done): void {
    if (provider.failureKey !== '') this.#stream.info.setMetadata(jwtMetadata, provider.failureKey, { code: String(status.code), message: status.text });
    done(status);
  }
}

function saysLittle(status: JwtStatus): boolean {
  return status === jwtStatus.missing || status === jwtStatus.unknownIssuer;
}
