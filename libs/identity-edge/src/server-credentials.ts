import { experimental, ServerInterceptingCall, status, type ServerCredentials, type ServerInterceptor } from '@grpc/grpc-js';
import { formatFieldErrors } from '@meltemi/base';
import { formatSpiffeId, type Revocations, type SpiffeId, type WorkloadCertificate } from '@meltemi/identity';
import { callerIdentity } from './caller.ts';

/** Where certificates come from: an IdentityAgent, or citadel, which makes its own. */
export interface CertificateSource {
  subscribe(listener: (certificate: WorkloadCertificate) => void): () => void;
}

export interface ServerCredentialsOptions {
  /** Who may call; everybody else gets PERMISSION_DENIED. Default: every identity of the trust domain. */
  readonly allow?: (caller: SpiffeId) => boolean;
  /** `require` (default) refuses callers without a valid certificate; `request` lets them in: the service must check `callerIdentity(call)` itself. */
  readonly clientCertificate?: 'require' | 'request';
  /** Also send the root, for callers that know only its fingerprint (citadel does). Default false. */
  readonly sendRoot?: boolean;
}

/**
 * mTLS for a grpc-js server: `server.bindAsync(address, serverCredentials(agent), …)`. Renewed certificates are used for new connections,
 * open ones stay. Until the first certificate arrives connections are dropped: await `agent.ready()` before binding.
 */
export function serverCredentials(source: CertificateSource, options: ServerCredentialsOptions = {}): ServerCredentials {
  const required = options.clientCertificate !== 'request';
  const provider = certificateProvider(source, options.sendRoot ?? false);
  const credentials = experimental.createCertificateProviderServerCredentials(provider, provider, required);
  // grpc-js tells a server about certificates that arrive after it was made, not about one that is there already: this watcher, which
  // does nothing, makes the credentials take the present certificate now. They follow the source as long as it lives.
  credentials._addWatcher(() => undefined);
  return required ? experimental.createServerCredentialsWithInterceptors(credentials, [authorize(source, options.allow ?? (() => true))]) : credentials;
}

type CaListener = experimental.CaCertificateUpdateListener;
type IdentityListener = experimental.IdentityCertificateUpdateListener;

function certificateProvider(source: CertificateSource, sendRoot: boolean): experimental.CertificateProvider {
  const subscriptions = new Map<CaListener | IdentityListener, () => void>();
  const drop = (listener: CaListener | IdentityListener): void => {
    subscriptions.get(listener)?.();
    subscriptions.delete(listener);
  };
  return {
    addCaCertificateListener: (listener) => void subscriptions.set(listener, source.subscribe(({ trust }) => listener({ caCertificate: Buffer.from(trust.pem) }))),
    addIdentityCertificateListener: (listener) =>
      void subscriptions.set(
        listener,
        source.subscribe(({ certChainPem, privateKeyPem, trust }) => listener({ certificate: Buffer.from(certChainPem + (sendRoot ? trust.pem : '')), privateKey: Buffer.from(privateKeyPem) })),
      ),
    removeCaCertificateListener: drop,
    removeIdentityCertificateListener: drop,
  };
}

/** Checks the caller of every call, not only at the handshake: a certificate may expire, or be revoked, while its connection lives. */
function authorize(source: CertificateSource, allow: (caller: SpiffeId) => boolean): ServerInterceptor {
  let revoked: Revocations | undefined;
  source.subscribe(({ trust }) => void (revoked = trust.revoked));
  return (_method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, proceed) => {
            const caller = callerIdentity(call, Date.now(), revoked);
            if (!caller.ok) call.sendStatus({ code: status.UNAUTHENTICATED, details: formatFieldErrors(caller.error) });
            else if (!allow(caller.value)) call.sendStatus({ code: status.PERMISSION_DENIED, details: `${formatSpiffeId(caller.value)} may not call this service` });
            else proceed(metadata);
          },
        });
      },
    });
}
