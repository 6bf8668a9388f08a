/** What the cache says to its log; pino's loggers fit. */
export interface CacheLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}
