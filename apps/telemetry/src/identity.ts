import type { Lifecycle } from '@meltemi/base';
import { controlPlaneId } from '@meltemi/identity';
import { joinTokenFile, rootFile, startIdentityAgent, type IdentityAgent } from '@meltemi/identity-edge';
import type { Logger, Readiness } from '@meltemi/observe-edge';
import type { TelemetryOptions } from './options.ts';

/** Gets and renews this program's certificate; not ready before the first one. Citadel may come later than we do. */
export function startIdentity(citadelAddress: string, values: TelemetryOptions, parts: { log: Logger; lifecycle: Lifecycle; readiness: Readiness }): IdentityAgent {
  const tokenFile = values['join-token-file'];
  const rootCertFile = values['root-cert-file'];
  const stateDir = values['state-dir'];
  const agent = startIdentityAgent({
    citadelAddress,
    identity: controlPlaneId(values['trust-domain'], 'telemetry'),
    ...(tokenFile === undefined ? {} : { joinToken: joinTokenFile(tokenFile) }),
    ...(rootCertFile === undefined ? {} : { roots: rootFile(rootCertFile) }),
    ...(stateDir === undefined ? {} : { stateDir }),
    log: parts.log,
  });
  parts.lifecycle.add('identity agent', () => agent.leave());
  agent.subscribe(parts.readiness.waitFor(`certificate from citadel at ${citadelAddress}`, () => agent.lastFailure()));
  return agent;
}
