import { unknownConnection, type TlsInfo } from '@meltemi/http';
import { Served, Wire } from '@meltemi/proxy/testing';
import type { Asked } from './policies.ts';

type Json = Record<string, unknown>;

interface Exchange {
  readonly wire: Wire;
  readonly text: string;
}

/** A connection manager with filters before its router, and callers with requests, all in memory: what is measured is ours, not the kernel's. */
export class InMemory {
  readonly #served: Served;
  readonly #exchanges: readonly Exchange[];

  constructor(filters: readonly Json[], callers: readonly { readonly asked: Asked; readonly fields?: readonly string[] }[]) {
    this.#served = new Served({ filters });
    const wires = new Map<string, Wire>();
    this.#exchanges = callers.map(({ asked: { path, host, principal }, fields = [] }) => {
      let wire = wires.get(principal);
      if (wire === undefined) wires.set(principal, (wire = this.#connect(principal)));
      return { wire, text: `GET ${path} HTTP/1.1\r\nhost: ${host}\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n` };
    });
  }

  /** Every request once. Throws when one does not come through. */
  round(): void {
    const { backend, done } = this.#served;
    for (const { wire, text } of this.#exchanges) {
      wire.receive(text);
      const request = backend.requests.pop();
      if (request === undefined) throw new Error(`not let through: ${text} → ${wire.sent}`);
      request.respond();
      wire.sent = '';
      done.length = 0;
    }
  }

  get requests(): number {
    return this.#exchanges.length;
  }

  #connect(principal: string): Wire {
    const wire = new Wire();
    this.#served.manager.serve(wire, { ...unknownConnection, directRemoteAddress: wire.remoteAddress, localAddress: wire.localAddress, tls: certified(principal) });
    return wire;
  }
}

export function certified(uri: string): TlsInfo {
  return {
    version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', sni: '', alpn: '', peerPresented: true, peerValidated: true, peerSubject: '', peerIssuer: '', peerUriSans: [uri], peerDnsSans: [], peerSerial: '', peerFingerprint256: '',
    peerCertPem: '', peerChainPem: '', peerCertValidFromMs: 0, peerCertValidToMs: 0, localSubject: '', localUriSans: [], localDnsSans: [],
  };
}
