import type { RetryPolicy as RetryPolicyMessage, RetryPolicy_RetryHostPredicate } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { PreviousPrioritiesConfig } from '@meltemi/api/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.ts';
import { OmitHostMetadataConfig } from '@meltemi/api/gen/envoy/extensions/retry/host/omit_host_metadata/v3/omit_host_metadata_config.ts';
import { compileHeaderMatchers } from '@meltemi/match';
import { durationMs } from './duration.ts';
import { checkFields, fieldPath } from './fields.ts';
import { retryPolicyFields } from './field-tables.ts';
import { metadataCriteria } from './metadata-criteria.ts';
import type { Report } from './report.ts';
import { RetryOn, type MetadataCriteria, type RetryPolicy } from './types.ts';

const type = (name: string) => `type.googleapis.com/envoy.extensions.retry.host.${name}`;
/** By type, or by name where there is no config. */
const previousHosts = ['envoy.retry_host_predicates.previous_hosts', type('previous_hosts.v3.PreviousHostsPredicate')];
const canaryHosts = ['envoy.retry_host_predicates.omit_canary_hosts', type('omit_canary_hosts.v3.OmitCanaryHostsPredicate')];
const hostMetadata = ['envoy.retry_host_predicates.omit_host_metadata', type('omit_host_metadata.v3.OmitHostMetadataConfig')];
const defaultBackoffMs = 25;

/** Compiles a retry policy with Envoy's defaults: 1 retry, back off 25 ms up to ten times the base. */
export function compileRetryPolicy(policy: RetryPolicyMessage, path: string, report: Report): RetryPolicy {
  checkFields(policy, retryPolicyFields, path, report);
  const baseMs = durationMs(policy.retryBackOff?.baseInterval, defaultBackoffMs);
  const maxMs = durationMs(policy.retryBackOff?.maxInterval, baseMs * 10);
  if (baseMs <= 0) report.refuse(`${path}.retry_back_off.base_interval`, 'must be more than zero');
  if (maxMs < baseMs) report.refuse(`${path}.retry_back_off.max_interval`, 'must not be less than base_interval');
  return {
    on: parseRetryOn(policy.retryOn, (name) => report.warn(`${path}.retry_on`, `"${name}" is not a retry condition`)),
    numRetries: policy.numRetries ?? 1,
    perTryTimeoutMs: durationMs(policy.perTryTimeout, 0),
    perTryIdleTimeoutMs: durationMs(policy.perTryIdleTimeout, 0),
    backoffBaseMs: baseMs,
    backoffMaxMs: maxMs,
    retriableStatusCodes: policy.retriableStatusCodes,
    retriableHeaders: report.take(compileHeaderMatchers(policy.retriableHeaders, fieldPath(path, 'retriableHeaders')), []),
    retriableRequestHeaders: report.take(compileHeaderMatchers(policy.retriableRequestHeaders, fieldPath(path, 'retriableRequestHeaders')), []),
    ...compilePredicates(policy, path, report),
    leavePrioritiesAfter: compilePriority(policy, `${path}.retry_priority`, report),
    hostSelectionMaxAttempts: Math.max(1, Number(policy.hostSelectionRetryMaxAttempts)),
    rateLimited: compileRateLimited(policy),
  };
}

/** The bits of a comma-separated retry_on list; `unknown` hears of the rest. */
export function parseRetryOn(text: string, unknown: (name: string) => void = () => {}): number {
  return bitsOf(text, RetryOn, unknown);
}

/** The same for x-envoy-retry-on, which knows nothing of gRPC. */
export function parseRetryHttpOn(text: string, unknown: (name: string) => void = () => {}): number {
  return bitsOf(text, httpConditions, unknown);
}

/** The same for x-envoy-retry-grpc-on. */
export function parseRetryGrpcOn(text: string, unknown: (name: string) => void = () => {}): number {
  return bitsOf(text, grpcConditions, unknown);
}

const { cancelled, 'deadline-exceeded': deadlineExceeded, internal, 'resource-exhausted': resourceExhausted, unavailable, ...httpConditions } = RetryOn;
const grpcConditions = { cancelled, 'deadline-exceeded': deadlineExceeded, internal, 'resource-exhausted': resourceExhausted, unavailable };

function bitsOf(text: string, known: Readonly<Record<string, number>>, unknown: (name: string) => void): number {
  let bits = 0;
  for (const part of text.split(',')) {
    const name = part.trim();
    if (name === '') continue;
    if (Object.hasOwn(known, name)) bits |= known[name] ?? 0;
    else unknown(name);
  }
  return bits;
}

function compilePredicates(policy: RetryPolicyMessage, path: string, report: Report): Pick<RetryPolicy, 'avoidPreviousHosts' | 'omitCanaryHosts' | 'omitMetadata'> {
  let [avoidPreviousHosts, omitCanaryHosts] = [false, false];
  const omitMetadata: MetadataCriteria[] = [];
  for (const [i, predicate] of policy.retryHostPredicate.entries()) {
    const name = predicate.configType?.value.typeUrl || predicate.name;
    if (previousHosts.includes(name)) avoidPreviousHosts = true;
    else if (canaryHosts.includes(name)) omitCanaryHosts = true;
    else if (hostMetadata.includes(name)) omitMetadata.push(...omittedMetadata(predicate));
    else report.refuse(`${path}.retry_host_predicate[${i}]`, `${name} is not supported: use previous_hosts, omit_canary_hosts or omit_host_metadata`);
  }
  return { avoidPreviousHosts, omitCanaryHosts, omitMetadata };
}

const previousPriorities = 'type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig';

function compilePriority({ retryPriority }: RetryPolicyMessage, path: string, report: Report): number {
  if (retryPriority === undefined) return 0;
  const config = retryPriority.configType?.value;
  if (config?.typeUrl !== previousPriorities) {
    report.refuse(path, `${config?.typeUrl ?? retryPriority.name} is not supported: use PreviousPrioritiesConfig`);
    return 0;
  }
  const { updateFrequency } = PreviousPrioritiesConfig.decode(config.value);
  if (updateFrequency <= 0) report.refuse(`${path}.update_frequency`, 'must be more than zero');
  return updateFrequency;
}

function omittedMetadata({ configType }: RetryPolicy_RetryHostPredicate): MetadataCriteria[] {
  const criteria = configType === undefined ? null : metadataCriteria(OmitHostMetadataConfig.decode(configType.value.value).metadataMatch);
  return criteria === null ? [] : [criteria];
}

function compileRateLimited(policy: RetryPolicyMessage): RetryPolicy['rateLimited'] {
  const limited = policy.rateLimitedRetryBackOff;
  if (!limited) return null;
  const headers = limited.resetHeaders.map((header) => ({ name: header.name.toLowerCase(), unix: header.format === 1 }));
  return { headers, maxMs: durationMs(limited.maxInterval, 300_000) };
}
