export type { FileAccessLogConfig, LineFormat, LineSink, LineSinks } from './types.ts';
