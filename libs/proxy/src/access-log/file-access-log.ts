import { FileAccessLog } from '@meltemi/api/gen/envoy/extensions/access_loggers/file/v3/file.ts';
import { StderrAccessLog, StdoutAccessLog } from '@meltemi/api/gen/envoy/extensions/access_loggers/stream/v3/stream.ts';
import type { SubstitutionFormatString } from '@meltemi/api/gen/envoy/config/core/v3/substitution_format_string.ts';
import { fail, ok, type Result } from '@meltemi/base';
import type { FormatOptions } from '@meltemi/http';
import { compileSubstitution, type Extension } from '@meltemi/snapshot';
import { compileJsonLine, compileTextLine, envoyTextFormat } from './line-format.ts';
import { lines, type FileAccessLogConfig, type LineFormat } from './types.ts';

const prefix = 'type.googleapis.com/envoy.extensions.access_loggers';

/** The file, stdout and stderr access loggers for a registry: their configs compile to FileAccessLogConfig. */
export function fileAccessLoggers(options: FormatOptions = {}): [string, Extension][] {
  return [
    [`${prefix}.file.v3.FileAccessLog`, { parse: (bytes, ctx) => parseFile(bytes, ctx.path, options) }],
    [`${prefix}.stream.v3.StdoutAccessLog`, { parse: (bytes, ctx) => parseStream(StdoutAccessLog.decode(bytes).accessLogFormat?.value, '/dev/stdout', ctx.path, options) }],
    [`${prefix}.stream.v3.StderrAccessLog`, { parse: (bytes, ctx) => parseStream(StderrAccessLog.decode(bytes).accessLogFormat?.value, '/dev/stderr', ctx.path, options) }],
  ];
}

function parseFile(bytes: Uint8Array, path: string, options: FormatOptions): Result<FileAccessLogConfig> {
  const message = FileAccessLog.decode(bytes);
  if (message.path === '') return fail(`${path}.path`, 'is required');
  const format = fileFormat(message, path, options);
  return format.ok ? ok({ path: message.path, format: format.value }) : format;
}

function fileFormat(message: FileAccessLog, path: string, options: FormatOptions): Result<LineFormat> {
  const format = message.accessLogFormat;
  switch (format?.$case) {
    case undefined:
      return compileTextLine(envoyTextFormat, options);
    case 'format':
      return under(compileTextLine(format.value, options), `${path}.format`);
    case 'jsonFormat':
    case 'typedJsonFormat':
      return under(compileJsonLine(format.value ?? {}, options), `${path}.json_format`);
    case 'logFormat':
      return lineOf(format.value, `${path}.log_format`, options);
  }
}

function parseStream(format: SubstitutionFormatString | undefined, path: string, at: string, options: FormatOptions): Result<FileAccessLogConfig> {
  const line = format ? lineOf(format, `${at}.log_format`, options) : compileTextLine(envoyTextFormat, options);
  return line.ok ? ok({ path, format: line.value }) : line;
}

function lineOf(format: SubstitutionFormatString, path: string, options: FormatOptions): Result<LineFormat> {
  const compiled = compileSubstitution(format, path, options);
  if (!compiled.ok || format.format?.$case !== 'jsonFormat') return compiled;
  return ok(lines(compiled.value));
}

function under(result: Result<LineFormat>, path: string): Result<LineFormat> {
  return result.ok ? result : { ok: false, error: result.error.map((error) => ({ path: error.path === '' ? path : `${path}.${error.path}`, message: error.message })) };
}
