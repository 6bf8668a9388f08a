import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A certificate and its key: as PEM, and the files they stand in. */
export interface IssuedPair {
  readonly certificate: string;
  readonly key: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
const settings = '[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\ncrlnumber = crlnumber\ndefault_md = sha256\ndefault_crl_days = 2\n';

/** An authority by the command line, as people make them. */
export class OpensslAuthority {
  readonly file: string;
  readonly #dir: string;
  readonly #issued = new Map<string, IssuedPair>();

  constructor(dir: string) {
    this.#dir = dir;
    this.file = join(dir, 'ca.crt');
    mkdirSync(dir, { recursive: true });
    for (const [name, text] of [['ca.cnf', settings], ['index.txt', ''], ['crlnumber', '01\n']] as const) writeFileSync(join(dir, name), text);
    this.#openssl(['req', '-x509', ...curve, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=root']);
  }

  get certificate(): string {
    return readFileSync(this.file, 'utf8');
  }

  /** A certificate for a name; the same one when asked again for the same `edition`. */
  issue(name: string, hosts: readonly string[] = [name], edition = hosts.join('+')): IssuedPair {
    const file = `${name}-${edition}`;
    const known = this.#issued.get(file);
    if (known) return known;
    this.#openssl(['req', '-x509', '-CA', 'ca.crt', '-CAkey', 'ca.key', ...curve, '-keyout', `${file}.key`, '-out', `${file}.crt`, '-subj', `/CN=${name}`, '-addext', `subjectAltName=${hosts.map((host) => `DNS:${host}`).join(',')}`, '-addext', 'basicConstraints=critical,CA:FALSE']);
    const [certificateFile, keyFile] = [join(this.#dir, `${file}.crt`), join(this.#dir, `${file}.key`)];
    const pair = { certificate: readFileSync(certificateFile, 'utf8'), key: readFileSync(keyFile, 'utf8'), certificateFile, keyFile };
    this.#issued.set(file, pair);
    return pair;
  }

  /** What a Secret of type kubernetes.io/tls holds. */
  pair({ certificate, key }: IssuedPair): Readonly<Record<string, string>> {
    return { 'tls.crt': certificate, 'tls.key': key };
  }

  revoke({ certificateFile }: IssuedPair): void {
    this.#openssl(['ca', '-config', 'ca.cnf', '-keyfile', 'ca.key', '-cert', 'ca.crt', '-revoke', certificateFile]);
  }

  /** The list of what was revoked, as PEM. */
  revocations(): string {
    this.#openssl(['ca', '-config', 'ca.cnf', '-keyfile', 'ca.key', '-cert', 'ca.crt', '-gencrl', '-out', 'ca.crl']);
    return readFileSync(join(this.#dir, 'ca.crl'), 'utf8');
  }

  curlFlags({ certificateFile, keyFile }: IssuedPair): string[] {
    return ['--cert', certificateFile, '--key', keyFile];
  }

  /** Every key it made, as PEM. */
  keys(): string[] {
    return [...this.#issued.values()].map(({ key }) => key);
  }

  #openssl(args: readonly string[]): void {
    execFileSync('openssl', args, { cwd: this.#dir, stdio: 'pipe', timeout: 20_000 });
  }
}
