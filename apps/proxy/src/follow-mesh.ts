import { resolve } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { formatFieldErrors, type Lifecycle } from '@meltemi/base';
import { channelCredentials, joinTokenFile, JwtSvids, rootFile, startIdentityAgent, type IdentityAgent } from '@meltemi/identity-edge';
import { StartError, type Logger, type Readiness } from '@meltemi/observe-edge';
import type { ControlThread } from '@meltemi/proxy-edge';
import { meshFeedOpener } from '@meltemi/proxy-edge/sources';
import type { HealthSource } from '@meltemi/xds-edge';
import { meshSources } from './config-sources.ts';
import type { WorkloadStart } from './workload-start.ts';

export interface MeshOptions {
  readonly values: WorkloadStart['values'];
  readonly node: Node;
  readonly control: ControlThread;
  readonly log: Logger;
  readonly readiness: Readiness;
  readonly lifecycle: Lifecycle;
  /** Called when the first configuration is served. */
  readonly initialized: () => void;
  readonly onAgent: (agent: IdentityAgent) => void;
  /** Takes name tables; undefined: none is asked for. */
  readonly takeNames: ((table: Uint8Array) => void) | undefined;
  /** What a probe finds of the application; undefined: there is none. */
  readonly health: HealthSource | undefined;
}

/** Gets this workload's certificate from citadel and its configuration from pilot. Rejects with StartError for what cannot be followed. */
export async function followMesh({ values, node, control, log, readiness, lifecycle, initialized, onAgent, takeNames, health }: MeshOptions): Promise<void> {
  const agent = startAgent();
  if (agent !== undefined) onAgent(agent);
  if (agent !== undefined && values['workload-socket'] !== undefined) await serveIdentity(agent, values['workload-socket']);
  const dial = values['discovery-plaintext'] || !agent ? () => credentials.createInsecure() : () => channelCredentials(agent, 'pilot');
  const connected = readiness.waitFor(`pilot at ${values['discovery-address']}`);
  const open = meshFeedOpener({ address: values['discovery-address'] ?? '', credentials: dial, node, ...(health && { health }) }, log);
  const following = control.follow({ ...meshSources(open, (up) => { if (up) connected(); }), takeNames });
  if (!following.ok) throw new StartError(formatFieldErrors(following.error));
  void following.value.initialized.then(initialized);

  async function serveIdentity(identity: IdentityAgent, path: string): Promise<void> {
    const { serveWorkloadSocket } = await import('@meltemi/proxy-edge/workload-socket');
    const socket = await serveWorkloadSocket({ path: resolve(path), gid: values['workload-socket-group'], identity, jwt: new JwtSvids({ citadelAddress: values['citadel-address'] ?? '', current: () => identity.current() }), log });
    lifecycle.add('workload socket', () => socket.stop());
  }

  function startAgent(): IdentityAgent | undefined {
    const citadelAddress = values['citadel-address'];
    if (citadelAddress === undefined) return undefined;
    const metadata = (node.metadata ?? {}) as Readonly<Record<string, string>>;
    const tokenFile = values['join-token-file'];
    const rootCertFile = values['root-cert-file'];
    const started = startIdentityAgent({
      citadelAddress, identity: `spiffe://${values['trust-domain']}/ns/${metadata['NAMESPACE']}/sa/${metadata['SERVICE_ACCOUNT']}`, log, name: node.id, keyAlgorithm: values['workload-key-algorithm'],
      ...(tokenFile === undefined ? {} : { joinToken: joinTokenFile(tokenFile) }), ...(rootCertFile === undefined ? {} : { roots: rootFile(rootCertFile) }), ...(values['state-dir'] === undefined ? {} : { stateDir: values['state-dir'] }),
    });
    lifecycle.add('identity agent', () => started.leave());
    const certified = readiness.waitFor(`certificate from citadel at ${citadelAddress}`, () => started.lastFailure());
    started.subscribe(async (certificate) => {
      certified();
      try {
        await control.identity(certificate, Date.now());
      } catch (cause) {
        log.error({ err: cause }, 'the renewed certificate is not in use');
        throw cause;
      }
    });
    return started;
  }
}
