import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DataSource } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { Secret } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { fail, ok, type Result } from '@meltemi/base';
import { watchMoves } from './watch-moves.ts';

export interface SecretFilesOptions {
  /** Files of a secret were replaced: the secret with their content. */
  readonly onChange: (name: string, bytes: Uint8Array) => void;
  /** The new files cannot be used; those read before stay in force. */
  readonly onError: (name: string, reason: string) => void;
}

interface Followed {
  bytes: Uint8Array;
  readonly stops: readonly (() => void)[];
}

/**
 * Secrets that came over SDS and name files: the workers get what is in the files, read together, so that all of them hold the same pair.
 * The files are read again when they, or what is in watched_directory, are moved into place.
 */
export class SecretFiles {
  readonly #options: SecretFilesOptions;
  readonly #followed = new Map<string, Followed>();

  constructor(options: SecretFilesOptions) {
    this.#options = options;
  }

  /** The secret with its files' content, which are watched from now on. */
  take(name: string, bytes: Uint8Array): Result<Uint8Array> {
    const secret = Secret.decode(bytes);
    const directories = directoriesOf(secret);
    const filled = directories.size === 0 ? ok(bytes) : fill(secret);
    if (!filled.ok) return filled;
    this.drop(name);
    if (directories.size === 0) return filled;
    const stops = [...directories].map((directory) => watchMoves({ directory, name: null, onMove: () => this.#reread(name, bytes), onError: (reason) => this.#options.onError(name, `${directory} is not watched: ${reason}`) }));
    this.#followed.set(name, { bytes: filled.value, stops });
    return filled;
  }

  drop(name: string): void {
    for (const stop of this.#followed.get(name)?.stops ?? []) stop();
    this.#followed.delete(name);
  }

  stop(): void {
    for (const name of this.#followed.keys()) this.drop(name);
  }

  #reread(name: string, bytes: Uint8Array): void {
    const followed = this.#followed.get(name);
    if (!followed) return;
    const filled = fill(Secret.decode(bytes));
    if (!filled.ok) return this.#options.onError(name, filled.error.map(({ message }) => message).join('; '));
    if (Buffer.compare(filled.value, followed.bytes) === 0) return;
    followed.bytes = filled.value;
    this.#options.onChange(name, filled.value);
  }
}

/** watched_directory, or else the directory of each file. */
function directoriesOf({ type }: Secret): Set<string> {
  const files = filesOf(type);
  const watched = type?.$case === 'tlsCertificate' || type?.$case === 'validationContext' ? type.value.watchedDirectory?.path : undefined;
  return new Set(files.length > 0 && watched ? [watched] : files.map((file) => dirname(file)));
}

function sourcesOf(type: Secret['type']): (DataSource | undefined)[] {
  switch (type?.$case) {
    case 'tlsCertificate':
      return [type.value.certificateChain, type.value.privateKey, type.value.password];
    case 'validationContext':
      return [type.value.trustedCa, type.value.crl];
    case 'genericSecret':
      return [type.value.secret];
    default:
      return [];
  }
}

function filesOf(type: Secret['type']): string[] {
  return sourcesOf(type).flatMap((source) => (source?.specifier?.$case === 'filename' ? [source.specifier.value] : []));
}

function fill(secret: Secret): Result<Uint8Array> {
  try {
    for (const source of sourcesOf(secret.type)) if (source?.specifier?.$case === 'filename') source.specifier = { $case: 'inlineBytes', value: readFileSync(source.specifier.value) };
    return pairProblem(secret) ?? ok(Secret.encode(secret).finish());
  } catch (cause) {
    return fail('', cause instanceof Error ? cause.message : String(cause));
  }
}

/** Certificate and key are two files, moved one after the other. */
function pairProblem({ type }: Secret): Result<never> | undefined {
  if (type?.$case !== 'tlsCertificate') return undefined;
  const [chain, key, password] = [type.value.certificateChain, type.value.privateKey, type.value.password].map((source) => (source?.specifier?.$case === 'inlineBytes' ? source.specifier.value : undefined));
  if (!chain || !key) return undefined;
  const fits = new X509Certificate(chain).checkPrivateKey(createPrivateKey({ key, ...(password && { passphrase: password.toString('utf8').trimEnd() }) }));
  return fits ? undefined : fail('', 'certificate_chain and private_key do not belong together');
}
