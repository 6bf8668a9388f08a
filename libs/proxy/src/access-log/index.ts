export type { FileAccessLogConfig, LineFormat, LineSink, LineSinks } from './types.ts';
export { compileJsonLine, compileTextLine, envoyTextFormat, istioJsonFormat, istioTextFormat } from './line-format.ts';
export { fileAccessLoggers } from './file-access-log.ts';
