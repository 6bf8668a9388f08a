import type { StreamInfo } from '../stream-info.ts';

/** One compiled %COMMAND%: text for lines and headers (null = missing), and the JSON value when it is not that text. @hot */
export interface Operator {
  readonly text: (info: StreamInfo) => string | null;
  /** Number, boolean, object or list; null when missing. Operators without it are strings in JSON. */
  readonly value: ((info: StreamInfo) => unknown) | null;
}

/** Fixed facts that formats may ask for. */
export interface FormatOptions {
  /** %HOSTNAME%; "-" when not given. */
  readonly hostname?: string;
  /** %ENVIRONMENT(X)%; without it the command is refused. */
  readonly environment?: Readonly<Record<string, string>>;
  /** %UNIQUE_ID%: another one with each call; without it the command is refused. */
  readonly uniqueId?: () => string;
  /** Missing values print as "" instead of "-". */
  readonly omitEmpty?: boolean;
  /** For values of fields: bytes of UTF-8, one character each, as the fields that a format repeats are already. Default: text. */
  readonly wire?: boolean;
}

/** A process of which nothing is known: for whoever compiles formats that another one prints. */
export const unknownProcess: FormatOptions = { environment: {}, uniqueId: () => '' };

/** A command as written: `%NAME(argument):length%`. */
export interface Command {
  readonly name: string;
  /** null when there were no parentheses. */
  readonly argument: string | null;
  readonly maxLength: number | null;
}

/** Builds a command's operator, or the reason why not. */
export type OperatorFactory = (command: Command, options: FormatOptions) => Operator | string;

export function textOperator(text: (info: StreamInfo) => string | null): Operator {
  return { text, value: null };
}

/** A number; null or a negative number is missing. */
export function numberOperator(read: (info: StreamInfo) => number | null): Operator {
  return {
    text: (info) => {
      const value = read(info);
      return value === null ? null : String(value);
    },
    value: read,
  };
}

/** Cuts to `maxLength` characters, as `:Z` asks. */
export function truncated(operator: Operator, maxLength: number | null): Operator {
  if (maxLength === null) return operator;
  return textOperator((info) => {
    const text = operator.text(info);
    return text !== null && text.length > maxLength ? text.slice(0, maxLength) : text;
  });
}
