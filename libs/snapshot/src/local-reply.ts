import type { SubstitutionFormatString } from '@meltemi/api/gen/envoy/config/core/v3/substitution_format_string.ts';
import type { LocalReplyConfig, ResponseMapper } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { fail, type Result } from '@meltemi/base';
import { compileFormat, compileJsonFormat, type FormatOptions, type Formatter } from '@meltemi/http';
import { compileHeaderOps, type Report } from '@meltemi/route';
import { compileLogFilter } from './access-log.ts';
import type { LocalReply, LocalReplyBody, LocalReplyMapper } from './listener-types.ts';

/** Compiles local_reply_config; null when there is none. */
export function compileLocalReply(config: LocalReplyConfig | undefined, path: string, report: Report): LocalReply | null {
  if (!config) return null;
  return {
    mappers: config.mappers.map((mapper, i) => compileMapper(mapper, `${path}.mappers[${i}]`, report)),
    body: compileBody(config.bodyFormat, `${path}.body_format`, report),
  };
}

function compileMapper(mapper: ResponseMapper, path: string, report: Report): LocalReplyMapper {
  if (!mapper.filter) report.refuse(`${path}.filter`, 'is required');
  const body = mapper.body?.specifier;
  if (body && body.$case !== 'inlineString' && body.$case !== 'inlineBytes') report.refuse(`${path}.body`, 'bodies from files are not supported: use inline_string');
  return {
    filter: mapper.filter ? compileLogFilter(mapper.filter, `${path}.filter`, report) : { evaluate: () => false },
    status: mapper.statusCode ?? null,
    body: body?.$case === 'inlineString' ? body.value : body?.$case === 'inlineBytes' ? body.value.toString() : null,
    bodyFormat: compileBody(mapper.bodyFormatOverride, `${path}.body_format_override`, report),
    headers: compileHeaderOps(mapper.headersToAdd, [], path, 'headers', report),
  };
}

function compileBody(format: SubstitutionFormatString | undefined, path: string, report: Report): LocalReplyBody | null {
  if (!format) return null;
  const formatter = report.take(compileSubstitution(format, path, report.formats), null);
  const json = format.format?.$case === 'jsonFormat';
  return formatter && { formatter, contentType: format.contentType || (json ? 'application/json' : 'text/plain') };
}

/** Formatter extensions whose commands are always there. */
const formatters = new Set(['req_without_query.v3.ReqWithoutQuery', 'metadata.v3.Metadata'].map((name) => `type.googleapis.com/envoy.extensions.formatter.${name}`));

/** Compiles a SubstitutionFormatString; errors carry `path`. */
export function compileSubstitution(format: SubstitutionFormatString, path: string, options: FormatOptions): Result<Formatter> {
  const unknown = format.formatters.findIndex(({ typedConfig }) => !formatters.has(typedConfig?.typeUrl ?? ''));
  if (unknown >= 0) return fail(`${path}.formatters[${unknown}]`, `${format.formatters[unknown]?.typedConfig?.typeUrl ?? 'an empty one'} is not supported: req_without_query and metadata are, and need no mention`);
  const withEmpty = { ...options, omitEmpty: format.omitEmptyValues, sortKeys: format.jsonFormatOptions?.sortProperties ?? false };
  const result = pickFormat(format, withEmpty);
  return result.ok ? result : { ok: false, error: result.error.map((error) => ({ path: error.path === '' ? path : `${path}.${error.path}`, message: error.message })) };
}

function pickFormat(format: SubstitutionFormatString, options: FormatOptions & { readonly sortKeys: boolean }): Result<Formatter> {
  const source = format.format;
  switch (source?.$case) {
    case 'textFormat':
      return compileFormat(source.value, options);
    case 'jsonFormat':
      return compileJsonFormat(source.value ?? {}, options);
    case 'textFormatSource': {
      const text = source.value.specifier;
      if (text?.$case === 'inlineString') return compileFormat(text.value, options);
      if (text?.$case === 'inlineBytes') return compileFormat(text.value.toString(), options);
      return { ok: false, error: [{ path: 'text_format_source', message: 'formats from files are not supported: use inline_string' }] };
    }
    case undefined:
      return { ok: false, error: [{ path: '', message: 'needs text_format, json_format or text_format_source' }] };
  }
}
