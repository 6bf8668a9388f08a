import type { TypedExtensionConfig } from '@meltemi/api/gen/envoy/config/core/v3/extension.ts';
import type { ExtensionConfigSource } from '@meltemi/api/gen/envoy/config/core/v3/config_source.ts';
import type { HttpFilter as HttpFilterMessage } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { ExtensionWithMatcher } from '@meltemi/api/gen/envoy/extensions/common/matching/v3/extension_matcher.ts';
import type { TypedExtensionConfig as ActionMessage } from '@meltemi/api/gen/xds/core/v3/extension.ts';
import { fail, ok, type Result } from '@meltemi/base';
import { compileMatcher, requestInputs } from '@meltemi/match';
import { checkFields } from '@meltemi/route';
import { compileConfigSource } from './config-source.ts';
import { decodeAt, finish, newContext, parseExtension, type Context } from './context.ts';
import type { Compiled, Extensions } from './extensions.ts';
import { httpFilterFields, withMatcherFields } from './listener-tables.ts';
import type { HttpFilter } from './listener-types.ts';

const withMatcherUrl = 'type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher';
const skipUrl = 'type.googleapis.com/envoy.extensions.filters.common.matcher.action.v3.SkipFilter';

/** Compiles the HTTP filters of a connection manager, in order. */
export function compileHttpFilters(filters: readonly HttpFilterMessage[], path: string, context: Context): HttpFilter[] {
  if (filters.length === 0) context.report.warn(path, 'without the router every request is answered with 404');
  return filters.flatMap((filter, i): HttpFilter[] => {
    const at = `${path}[${i}]`;
    checkFields(filter, httpFilterFields, at, context.report);
    if (filter.name === '') context.report.refuse(`${at}.name`, 'is required');
    const last = i === filters.length - 1;
    const config = filter.configType;
    if (config?.$case === 'configDiscovery') return compileDiscovered(filter, config.value, { path: at, last }, context);
    if (config?.value.typeUrl === withMatcherUrl) return compileWithMatcher(filter, config.value.value, { path: at, last }, context);
    const any = config?.value;
    const parsed = parseExtension(context.extensions.httpFilters, any, { path: at, optional: filter.isOptional, what: 'HTTP filter' }, context);
    if (parsed) checkPlace(any?.typeUrl ?? '', at, last, context);
    return parsed ? [{ name: filter.name, typeUrl: any?.typeUrl ?? '', config: parsed.config, disabled: filter.disabled }] : [];
  });
}

/** A config as ECDS sends it: what the filter runs with from now on. */
export interface FilterConfig {
  readonly typeUrl: string;
  /** What the extension's parse gave. */
  readonly config: unknown;
}

/** Compiles the config of one HTTP filter as ECDS sends it. */
export function compileFilterConfig(message: TypedExtensionConfig, extensions: Extensions): Result<Compiled<FilterConfig>> {
  const context = newContext(extensions);
  if (message.name === '') context.report.refuse('name', 'is required');
  const parsed = parseExtension(extensions.httpFilters, message.typedConfig, { path: '', optional: false, what: 'HTTP filter' }, context);
  return finish(context.report, parsed ? { typeUrl: message.typedConfig?.typeUrl ?? '', config: parsed.config } : null);
}

function compileDiscovered({ name, disabled }: HttpFilterMessage, message: ExtensionConfigSource, { path, last }: { path: string; last: boolean }, context: Context): HttpFilter[] {
  const { report } = context;
  const at = `${path}.config_discovery`;
  if (context.extensions.extensionDiscovery !== true) {
    report.refuse(at, 'extension config discovery (ECDS) is not supported: give typed_config');
    return [];
  }
  const source = compileConfigSource(message.configSource, `${at}.config_source`, report);
  if (message.typeUrls.length === 0) report.refuse(`${at}.type_urls`, 'is required: the types the config may have');
  for (const [i, typeUrl] of message.typeUrls.entries()) {
    const where = `${at}.type_urls[${i}]`;
    if (context.extensions.httpFilters.has(withPrefix(typeUrl))) checkPlace(withPrefix(typeUrl), where, last, context);
    else report.refuse(where, `${typeUrl} is not an HTTP filter of this proxy`);
  }
  const typeUrls = new Set(message.typeUrls.map(withPrefix));
  const initial = message.defaultConfig;
  if (initial && !typeUrls.has(initial.typeUrl)) report.refuse(`${at}.default_config`, `is ${initial.typeUrl}, which type_urls does not have`);
  const parsed = initial && parseExtension(context.extensions.httpFilters, initial, { path: at, field: 'default_config', optional: false, what: 'HTTP filter' }, context);
  if (message.applyDefaultConfigWithoutWarming && !initial) report.refuse(`${at}.apply_default_config_without_warming`, 'needs default_config');
  if (!message.applyDefaultConfigWithoutWarming) context.extensionNames.add(name);
  if (source) context.references.push({ kind: 'extensions', name, source, path: at, statPrefix: `extension_config_discovery.http_filter.${name}.`, typeUrls });
  return [{ name, typeUrl: parsed ? (initial?.typeUrl ?? '') : '', config: parsed?.config ?? null, disabled, discovery: { name, typeUrls } }];
}

/** A filter that requests pass by where its matcher leads to SkipFilter. */
function compileWithMatcher({ name, disabled }: HttpFilterMessage, bytes: Uint8Array, { path, last }: { path: string; last: boolean }, context: Context): HttpFilter[] {
  const { report } = context;
  const at = `${path}.typed_config`;
  const message = decodeAt(ExtensionWithMatcher, bytes, at, report);
  if (!message) return [];
  checkFields(message, withMatcherFields, at, report);
  const any = message.extensionConfig?.typedConfig;
  const parsed = parseExtension(context.extensions.httpFilters, any, { path: `${at}.extension_config`, optional: false, what: 'HTTP filter' }, context);
  if (last) report.refuse(path, 'the last filter must be terminal (the router), and nothing may pass it by');
  else if (parsed) checkPlace(any?.typeUrl ?? '', path, last, context);
  if (!message.xdsMatcher) report.refuse(`${at}.xds_matcher`, 'is required: which requests pass the filter by');
  const skip = message.xdsMatcher ? report.take(compileMatcher(message.xdsMatcher, `${at}.xds_matcher`, { inputs: requestInputs, action: skipAction }), null) : null;
  return parsed && skip ? [{ name, typeUrl: any?.typeUrl ?? '', config: parsed.config, disabled, skip }] : [];
}

function skipAction({ typedConfig }: ActionMessage, path: string): Result<'skip'> {
  return typedConfig?.typeUrl === skipUrl ? ok('skip') : fail(`${path}.typed_config`, `${typedConfig?.typeUrl ?? 'no action'} is not supported: SkipFilter is`);
}

/** Envoy takes type_urls without the host, too. */
function withPrefix(typeUrl: string): string {
  return typeUrl.includes('/') ? typeUrl : `type.googleapis.com/${typeUrl}`;
}

function checkPlace(typeUrl: string, path: string, last: boolean, context: Context): void {
  const terminal = context.extensions.httpFilters.get(typeUrl)?.terminal === true;
  if (terminal !== last) context.report.refuse(path, terminal ? 'a terminal filter must be the last' : 'the last filter must be terminal (the router)');
}
