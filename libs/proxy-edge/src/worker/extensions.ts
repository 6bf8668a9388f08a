import { fileAccessLoggers, filterExtensions, grpcAccessLogExtensions } from '@meltemi/proxy';
import type { Extensions } from '@meltemi/snapshot';

/** Everything this proxy can run, for whoever compiles xDS for it. */
export function proxyExtensions(): Extensions {
  return { ...filterExtensions(new Map([...fileAccessLoggers(), ...grpcAccessLogExtensions])), autoTlsNames: true };
}
