import type { Proxy } from '@meltemi/pilot';
import type { ClientHello } from '@meltemi/xds-edge';

/** Name of the mTLS door. */
export const secureListener = 'xds';
/** Name of the plaintext door on loopback. */
export const plaintextListener = 'xds-plaintext';

/** A proxy gets the configuration of the workload its certificate names, and of no other. Undefined allows; a text is the refusal. */
export function authorizeProxy(trustDomain: string): (hello: ClientHello, proxy: Proxy) => string | undefined {
  return ({ peer }, proxy) => {
    if (peer.listener === plaintextListener) return undefined;
    const expected = `spiffe://${trustDomain}/ns/${proxy.namespace}/sa/${proxy.serviceAccount}`;
    if (peer.identity === undefined) return 'no client certificate with a SPIFFE id: connect with the certificate citadel issued';
    return peer.identity === expected ? undefined : `node ${proxy.id} says it is ${expected}, but its certificate says ${peer.identity}`;
  };
}
