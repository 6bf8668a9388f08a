import type { Jwt, KeySet } from '@meltemi/identity/jwt';

/** Longer tokens are verified each time. */
const maxTokenLength = 4 * 1024;
/** Of memory for one provider's tokens in a worker. */
const maxBytes = 16 * 1024 * 1024;
/** What a token takes for each of its characters, claims included; measured on claims of many small objects. */
const bytesPerCharacter = 16;
const bytesPerToken = 512;

const nothing = Buffer.alloc(0);

/**
 * Tokens whose signature one key set has verified, found by their whole text, signature included. Only good ones are kept, so whoever sends
 * forged ones takes no place from them. Times and audiences are the caller's to check, each time. @hot
 */
export class VerifiedTokens {
  readonly #most: number;
  readonly #tokens = new Map<string, Jwt>();
  #verifiedBy: KeySet | null = null;
  #bytes = 0;

  /** `most` tokens; 0 keeps none. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Null when these keys have not verified it, or it has been forgotten. */
  recall(token: string, keys: KeySet): Jwt | null {
    if (keys !== this.#verifiedBy) return null;
    const jwt = this.#tokens.get(token);
    if (jwt === undefined) return null;
    // to the end: the first one is the least used
    this.#tokens.delete(token);
    this.#tokens.set(token, jwt);
    return jwt;
  }

  remember(token: string, jwt: Jwt, keys: KeySet): void {
    if (token.length > maxTokenLength) return;
    if (this.#verifiedBy !== keys) this.#forgetAll();
    this.#verifiedBy = keys;
    // a copy: a part of a text keeps the whole alive, which is the head of a request here
    const text = Buffer.from(token, 'latin1').toString('latin1');
    const payloadStart = text.indexOf('.') + 1;
    this.#tokens.set(text, { ...jwt, payloadText: text.slice(payloadStart, payloadStart + jwt.payloadText.length), signed: nothing, signature: nothing });
    this.#bytes += bytesOf(text);
    while (this.#tokens.size > this.#most || this.#bytes > maxBytes) this.#forgetOldest();
  }

  #forgetOldest(): void {
    for (const oldest of this.#tokens.keys()) {
      this.#tokens.delete(oldest);
      this.#bytes -= bytesOf(oldest);
      return;
    }
  }

  #forgetAll(): void {
    this.#tokens.clear();
    this.#bytes = 0;
  }
}

function bytesOf(token: string): number {
  return token.length * bytesPerCharacter + bytesPerToken;
}
