import { getSystemErrorName } from 'node:util';

/**
 * What a call failed with, as Node words it; `status` is libuv's negative number. Without a stack, which would tell nothing: to capture and format one costs
 * 30 µs, and peers that reset their connections decide how often.
 */
export function systemError(status: number, syscall: 'read' | 'write'): Error {
  const code = getSystemErrorName(status);
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const error = Object.assign(new Error(`${syscall} ${code}`), { code, errno: status, syscall });
  Error.stackTraceLimit = stackTraceLimit;
  return error;
}
