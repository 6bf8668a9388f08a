import { createPrivateKey } from 'node:crypto';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, type Result } from '@meltemi/base';
import { parseCertificates, type FederatedRoots, type SpiffeId, type WorkloadCertificate } from '@meltemi/identity';
import { isCode, replaceFile } from './durable-file.ts';
import { trustOf, workloadCertificate } from './issuance.ts';

/**
 * The certificate and key of one workload on disk: mode 0600 in a directory of mode 0700, one file, so that key and chain always match.
 * Only for processes that were told to keep it: a restarted one then renews with it, its join token long spent.
 */
export class KeptIdentity {
  readonly #dir: string;
  readonly #path: string;

  constructor(stateDir: string) {
    this.#dir = stateDir;
    this.#path = join(stateDir, 'identity.json');
  }

  /** Undefined when nothing is kept; a failure says what is wrong with what is. Expired and foreign certificates are failures. */
  async load(id: SpiffeId, now: number): Promise<Result<WorkloadCertificate> | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (cause) {
      if (isCode(cause, 'ENOENT')) return undefined;
      return fail(this.#path, cause instanceof Error ? cause.message : String(cause));
    }
    try {
      return readKept(JSON.parse(text), id, now);
    } catch (cause) {
      return fail(this.#path, `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  }

  /** Replaces what is kept, atomically: after a crash there is the old or the new, never half of one. */
  async save(certificate: WorkloadCertificate): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await chmod(this.#dir, 0o700);
    const { certChainPem, privateKeyPem, trust } = certificate;
    await replaceFile(this.#path, JSON.stringify({ certChainPem, privateKeyPem, rootsPem: trust.pem, federated: (trust.federated ?? []).map((each) => ({ trustDomain: each.trustDomain, rootsPem: [each.pem], jwtKeys: each.jwtKeys ?? '' })), revocationListsPem: trust.revoked?.pem ?? '', jwtKeys: trust.jwtKeys ?? '' }));
  }
}

function readKept(value: unknown, id: SpiffeId, now: number): Result<WorkloadCertificate> {
  const { certChainPem, privateKeyPem, rootsPem, federated = [], revocationListsPem = '', jwtKeys = '' } = (value ?? {}) as { readonly [key: string]: unknown };
  if (typeof certChainPem !== 'string' || typeof privateKeyPem !== 'string' || typeof rootsPem !== 'string' || typeof revocationListsPem !== 'string' || typeof jwtKeys !== 'string') return fail('', 'the kept identity is incomplete');
  const chain = parseCertificates(certChainPem);
  if (!chain.ok) return chain;
  if (!areFederated(federated)) return fail('', 'the kept federated roots are damaged');
  const trust = trustOf(id.trustDomain, { rootsPem: [rootsPem], federated, revocationListsPem, jwtKeys });
  if (!trust.ok) return trust;
  return workloadCertificate({ chain: chain.value, privateKey: createPrivateKey(privateKeyPem), id, trust: trust.value, now });
}

function areFederated(value: unknown): value is FederatedRoots[] {
  return Array.isArray(value) && value.every((each: Partial<FederatedRoots> | null) => typeof each?.trustDomain === 'string' && Array.isArray(each.rootsPem) && each.rootsPem.every((pem: unknown) => typeof pem === 'string') && ['undefined', 'string'].includes(typeof each.jwtKeys));
}
