import { err, fail, ok, type Result } from '@meltemi/base';
import { CsrfPolicy as CsrfMessage } from '@meltemi/api/gen/envoy/extensions/filters/http/csrf/v3/csrf.ts';
import type { RequestHead } from '@meltemi/http';
import { always, compileAll, compileFraction, compileStringMatcher, never, type Fraction, type StringMatch } from '@meltemi/match';
import type { Counter } from '@meltemi/observe';
import { use, type FieldTable } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { FilterEvents, FilterStatus, HttpStreamFilter, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import { checkSettings } from '../../check-settings.ts';

/** What a CSRF policy compiles to. */
export interface CsrfPolicy {
  readonly enabled: Fraction;
  /** Counts what would be refused where `enabled` does not hold. */
  readonly shadow: Fraction;
  /** Origins (host and port) that may change something besides the one that is asked. */
  readonly additionalOrigins: readonly StringMatch[];
}

/** Refuses requests that change something and come from a page of another origin. */
export const csrfFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.csrf',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.csrf.v3.CsrfPolicy'],
  stage: 'auth',
  trust: 'untrusted-downstream-and-upstream',
  parse,
  parseRoute: parse,
  bind(config, ctx) {
    const counter = (name: string) => ctx.stats.counter(`http.${ctx.hcm.statPrefix}.csrf.${name}`);
    const stats: CsrfStats = { missing: counter('missing_source_origin'), invalid: counter('request_invalid'), valid: counter('request_valid') };
    return {
      events: FilterEvents.decodeHead,
      create(stream) {
        if (!changing.has(stream.request.method)) return null;
        const policy = (stream.perRoute(ctx.filterName) as CsrfPolicy | null) ?? (config as CsrfPolicy);
        const enabled = policy.enabled.hit(stream.random.next());
        return enabled || policy.shadow.hit(stream.random.next()) ? new CsrfStream(policy, stats, enabled) : null;
      },
    };
  },
};

const changing: ReadonlySet<string> = new Set(['POST', 'PUT', 'DELETE', 'PATCH']);
const settings: FieldTable<CsrfMessage> = { filterEnabled: use, shadowEnabled: use, additionalOrigins: use };

function parse(bytes: Uint8Array, ctx: ParseContext): Result<CsrfPolicy> {
  const message = CsrfMessage.decode(bytes);
  const errors = checkSettings(message, settings, ctx);
  const origins = compileAll(message.additionalOrigins, `${ctx.path}.additional_origins`, compileStringMatcher);
  if (errors.length > 0) return err(errors);
  if (!origins.ok) return origins;
  if (message.filterEnabled === undefined) return fail(`${ctx.path}.filter_enabled`, 'is required');
  return ok({ enabled: compileFraction(message.filterEnabled.defaultValue, always), shadow: compileFraction(message.shadowEnabled?.defaultValue, never), additionalOrigins: origins.value });
}

interface CsrfStats {
  readonly missing: Counter;
  readonly invalid: Counter;
  readonly valid: Counter;
}

class CsrfStream extends HttpStreamFilter {
  readonly #policy: CsrfPolicy;
  readonly #stats: CsrfStats;
  readonly #enforced: boolean;

  constructor(policy: CsrfPolicy, stats: CsrfStats, enforced: boolean) {
    super();
    this.#policy = policy;
    this.#stats = stats;
    this.#enforced = enforced;
  }

  override decodeHead(stream: StreamControls, head: RequestHead): number {
    const source = hostAndPort(head.headers.get('origin')) || hostAndPort(head.headers.get('referer'));
    const valid = source !== '' && (source === head.authority || this.#policy.additionalOrigins.some((origin) => origin.matches(source)));
    (valid ? this.#stats.valid : source === '' ? this.#stats.missing : this.#stats.invalid).inc();
    if (valid || !this.#enforced) return FilterStatus.continue;
    stream.sendLocalReply({ status: 403, body: 'Invalid origin', details: 'csrf_origin_mismatch' });
    return FilterStatus.stopIteration;
  }
}

/** Of an absolute URL; '' when it is none. */
function hostAndPort(url: string | null): string {
  return url === null ? '' : (/^https?:\/\/([^/?#]+)/i.exec(url)?.[1] ?? '');
}
