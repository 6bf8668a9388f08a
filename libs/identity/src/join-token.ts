import { fail, ok, type Result } from '@meltemi/base';
import { formatSpiffeId, parseSpiffeId, type SpiffeId } from './spiffe.ts';

/** What a join token carries. The text form is the bearer credential: treat it like a password. */
export interface JoinToken {
  /** 32 random bytes. */
  readonly secret: Buffer;
  /** The one identity the token may ask for; names the trust domain too. */
  readonly id: SpiffeId;
  /** SHA-256 of the root certificate, lower-case hex: the first connection is verified by it. */
  readonly rootFingerprint: string;
}

const prefix = 'meltemi.join.v1.';
const secretBytes = 32;
/** A SPIFFE id of 2 KB in JSON in base64url fits. */
const maxTokenChars = 4096;

/** `meltemi.join.v1.<base64url of JSON {secret, id, root}>`. */
export function formatJoinToken(token: JoinToken): string {
  const body = { secret: token.secret.toString('base64url'), id: formatSpiffeId(token.id), root: token.rootFingerprint };
  return prefix + Buffer.from(JSON.stringify(body)).toString('base64url');
}

/** Whether a text claims to be a join token; nothing of it is checked. */
export function isJoinToken(text: string): boolean {
  return text.trimStart().startsWith(prefix);
}

/** Reads a token; surrounding white space (a file's last newline) is fine. Errors never quote the token. */
export function parseJoinToken(text: string): Result<JoinToken> {
  const trimmed = text.trim();
  if (trimmed.length > maxTokenChars) return fail('', `a join token has at most ${maxTokenChars} characters`);
  if (!trimmed.startsWith(prefix)) return fail('', `not a join token: it must start with ${prefix}`);
  const encoded = trimmed.slice(prefix.length);
  const bytes = Buffer.from(encoded, 'base64url');
  if (bytes.toString('base64url') !== encoded) return fail('', 'damaged join token: not base64url; was it cut when copied?');
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString());
  } catch {
    return fail('', 'damaged join token: not JSON inside; was it cut when copied?');
  }
  return readBody(body);
}

function readBody(body: unknown): Result<JoinToken> {
  if (typeof body !== 'object' || body === null) return fail('', 'damaged join token: no object inside');
  const { secret, id, root } = body as { readonly [key: string]: unknown };
  if (typeof secret !== 'string' || typeof id !== 'string' || typeof root !== 'string') return fail('', 'damaged join token: secret, id or root is missing');
  const secretValue = Buffer.from(secret, 'base64url');
  if (secretValue.length !== secretBytes || secretValue.toString('base64url') !== secret) return fail('secret', `must be ${secretBytes} bytes in base64url`);
  if (!/^[0-9a-f]{64}$/.test(root)) return fail('root', 'must be a SHA-256 fingerprint in lower-case hex');
  const parsed = parseSpiffeId(id);
  return parsed.ok ? ok({ secret: secretValue, id: parsed.value, rootFingerprint: root }) : fail('id', parsed.error[0]?.message ?? 'not a SPIFFE id');
}
