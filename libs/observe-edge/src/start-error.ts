import { formatAddress, unixPath, type Address } from './address.ts';
import { environmentName } from './options.ts';

/** The program cannot start, and the text alone tells its user what to do: printed without a stack. */
export class StartError extends Error {
  readonly exitCode: number;

  constructor(message: string, options: { exitCode?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'StartError';
    this.exitCode = options.exitCode ?? 1;
  }
}

/** A listen failure in words: which flag, which address, why, and how to change it. Other errors come back as they were. */
export function explainListenError(cause: unknown, at: { flag: string; address: Address }): unknown {
  if (cause instanceof StartError) return cause;
  const text = cause instanceof Error ? cause.message : '';
  const socket = unixPath(at.address);
  if (socket !== undefined) return new StartError(`--${at.flag}: cannot listen at ${socket}: ${text}`, { cause });
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : (/\b(EADDRINUSE|EACCES|EADDRNOTAVAIL)\b/.exec(text)?.[0] ?? '');
  const why = reasons[code];
  if (why === undefined) return cause;
  const change = `Choose another with --${at.flag} HOST:PORT or ${environmentName(at.flag)}; port 0 takes any free one.`;
  return new StartError(`--${at.flag}: cannot listen on ${formatAddress(at.address)}: ${why}. ${change}`, { cause });
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is busy, another program listens there',
  EACCES: 'ports below 1024 need root or CAP_NET_BIND_SERVICE',
  EADDRNOTAVAIL: 'this machine does not have that address',
};
