import { createSecureContext, type SecureContext } from 'node:tls';
import type { ChannelCredentials } from '@grpc/grpc-js';
import { fail, type Result } from '@meltemi/base';
import { controlPlaneId, formatSpiffeId, verifyChain, type Certificate, type ControlPlaneProgram, type SpiffeId, type WorkloadCertificate } from '@meltemi/identity';
import type { IdentityAgent } from './agent.ts';
import { VerifiedTlsCredentials } from './verified-tls.ts';

/** Whom a channel accepts as its server: one of the mesh's own programs, exact ids, or a rule. */
export type ExpectedServer = ControlPlaneProgram | readonly SpiffeId[] | ((server: SpiffeId) => boolean);

/**
 * mTLS for a grpc-js channel: `new Client(address, channelCredentials(agent, 'pilot'), meshChannelOptions)`. The server is verified by its
 * SPIFFE id, whatever name or address was dialled. Each new connection uses the newest certificate; open ones stay.
 */
export function channelCredentials(agent: Pick<IdentityAgent, 'id' | 'current' | 'ready'>, server: ExpectedServer): ChannelCredentials {
  const accepts = expectation(server, agent.id.trustDomain);
  let cached: { readonly certificate: WorkloadCertificate; readonly secureContext: SecureContext } | undefined;
  const current = (): WorkloadCertificate => {
    const certificate = agent.current();
    if (!certificate) throw new Error(`no certificate for ${formatSpiffeId(agent.id)} yet`);
    return certificate;
  };
  return new VerifiedTlsCredentials({
    ready: async () => void (await agent.ready()),
    context: () => {
      const certificate = current();
      if (cached?.certificate !== certificate) cached = { certificate, secureContext: createSecureContext({ ca: certificate.trust.pem, cert: certificate.certChainPem, key: certificate.privateKeyPem }) };
      return { secureContext: cached.secureContext };
    },
    verify: (chain) => verifyServer(chain, current(), accepts),
  });
}

interface Expectation {
  readonly describe: string;
  readonly accepts: (server: SpiffeId) => boolean;
}

function expectation(server: ExpectedServer, trustDomain: string): Expectation {
  if (typeof server === 'function') return { describe: 'one that is expected here', accepts: server };
  const ids = (typeof server === 'string' ? [controlPlaneId(trustDomain, server)] : server).map(formatSpiffeId);
  return { describe: ids.join(' or '), accepts: (id) => ids.includes(formatSpiffeId(id)) };
}

function verifyServer(chain: readonly Certificate[], own: WorkloadCertificate, expected: Expectation): Result<unknown> {
  const peer = verifyChain(chain, own.trust, { now: Date.now(), use: 'server' });
  if (!peer.ok) return peer;
  return expected.accepts(peer.value.id) ? peer : fail('', `it belongs to ${formatSpiffeId(peer.value.id)}, not to ${expected.describe}`);
}
