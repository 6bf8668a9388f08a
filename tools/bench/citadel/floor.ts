import { execFileSync } from 'node:child_process';
import type { KeyKind } from './caller.ts';

/** What the cryptography of one certificate costs by itself, microseconds, as `openssl speed` has it on this machine. */
export type Floor = Readonly<Record<KeyKind, number>>;

/** Verify the request's signature, sign with the P-256 issuing CA, verify what was signed. Undefined without openssl. */
export function measureFloor(): Floor | undefined {
  try {
    const p256 = speed('ecdsap256');
    const rsa = speed('rsa2048');
    const issuing = p256.sign + p256.verify;
    return { 'P-256': p256.verify + issuing, 'RSA-2048': rsa.verify + issuing };
  } catch {
    return undefined;
  }
}

/** Microseconds an operation. `-mr` prints lines such as "+F4:3:256:41234.1:13123.4": signatures and verifications a second. */
function speed(algorithm: string): { readonly sign: number; readonly verify: number } {
  const text = execFileSync('openssl', ['speed', '-mr', '-seconds', '1', algorithm], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const [sign = 0, verify = 0] = /^\+F\d:(.*)$/m.exec(text)?.[1]?.split(':').slice(-2).map(Number) ?? [];
  if (!(sign > 1) || !(verify > 1)) throw new Error(`openssl speed says nothing about ${algorithm}`);
  return { sign: 1e6 / sign, verify: 1e6 / verify };
}
