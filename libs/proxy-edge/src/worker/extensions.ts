import { randomUUID } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { err, ok, type Result } from '@meltemi/base';
import { fileAccessLoggers, filterExtensions, grpcAccessLoggers, otelAccessLoggers, tracerExtensions } from '@meltemi/proxy';
import type { Extensions } from '@meltemi/snapshot';

/** Everything this proxy can run, for whoever compiles xDS for it. */
export function proxyExtensions(): Extensions {
  const formats = { hostname: hostname(), environment: environment(), uniqueId: () => randomUUID() };
  return { ...filterExtensions(new Map([...fileAccessLoggers(formats), ...otelAccessLoggers(formats), ...grpcAccessLoggers(formats)])), tracers: tracerExtensions, autoTlsNames: true, formats, readFile };
}

/** Larger files are no configuration. */
const maxFileBytes = 1024 * 1024;

/** For configs of filters that name a file, such as local_jwks. */
function readFile(path: string): Result<Uint8Array, string> {
  try {
    if (statSync(path).size > maxFileBytes) return err(`${path} has more than ${maxFileBytes} bytes`);
    return ok(readFileSync(path));
  } catch (error) {
    return err(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function environment(): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}
