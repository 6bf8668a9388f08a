import { join } from 'node:path';
import type { CaFiles } from '@meltemi/citadel';
import { readBounded } from './read-bounded.ts';

const maxFileBytes = 65_536;

/** Reads the folder of a plugged-in authority: ca-cert.pem, ca-key.pem, root-cert.pem, and cert-chain.pem where there is one. Istio's `cacerts`, mounted or copied. */
export async function readCaFiles(dir: string): Promise<CaFiles> {
  const [caCert, caKey, rootCert, certChain] = await Promise.all(['ca-cert.pem', 'ca-key.pem', 'root-cert.pem', 'cert-chain.pem'].map((name) => readBounded(join(dir, name), maxFileBytes)));
  if (caCert === undefined) throw missing(dir, 'ca-cert.pem');
  if (caKey === undefined) throw missing(dir, 'ca-key.pem');
  if (rootCert === undefined) throw missing(dir, 'root-cert.pem');
  return { caCert, caKey, rootCert, certChain: certChain ?? '' };
}

function missing(dir: string, name: string): Error {
  return new Error(`${join(dir, name)} is missing: a plugged-in authority has ca-cert.pem, ca-key.pem, root-cert.pem and, unless the root signs itself, cert-chain.pem`);
}
