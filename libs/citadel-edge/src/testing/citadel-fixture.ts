import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatFieldErrors, mathRandom, systemClock } from '@meltemi/base';
import { KeptAuthority, openCertificateService, PluggedAuthority, PluggedRotation, Roster, RootRotation, settleMs } from '@meltemi/citadel';
import { mintJoinToken } from '@meltemi/identity-edge';
import { expositionText, StatsRegistry } from '@meltemi/observe';
import { startCitadelServer, type CitadelServer, type CitadelServerOptions } from '../citadel-server.ts';
import { readCaFiles } from '../ca-files.ts';
import { DiskKeystore } from '../disk-keystore.ts';
import { DiskReportStore } from '../disk-reports.ts';

/** A real citadel on an ephemeral port with its own directory, for this package's tests. */
export class CitadelFixture {
  readonly dir = mkdtempSync(join(tmpdir(), 'citadel-'));
  readonly socketPath = join(this.dir, 'c.sock');
  readonly lines: (object & { message: string })[] = [];
  readonly stats = new StatsRegistry();
  /** How far citadel's clock is ahead. */
  skewMs = 0;
  readonly #caDir: string | undefined;
  #server: CitadelServer | undefined;
  #port = 0;

  /** `caDir`: an authority is plugged in there, in place of one of citadel's own. */
  constructor(caDir?: string) {
    this.#caDir = caDir;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Starts, or starts again on the same port with the same directory. */
  async start(changes: Partial<CitadelServerOptions> = {}): Promise<this> {
    const trustDomain = 'cluster.local';
    const keystore = new DiskKeystore(join(this.dir, 'state'));
    const entropy = { bytes: randomBytes };
    const roster = new Roster({ id: randomBytes(4).toString('hex'), store: new DiskReportStore(join(this.dir, 'state')), clock: systemClock, listeningSince: Date.now() - settleMs, onFailure: (reason) => this.log.error({ reason }, 'roster') });
    const own = new KeptAuthority({ trustDomain, keystore, entropy });
    const plugged = new PluggedAuthority({ trustDomain, read: () => readCaFiles(this.#caDir ?? ''), issuers: keystore, entropy });
    const guarded = new PluggedRotation({ plugged, roster, clock: systemClock, inFlightMs: 0 });
    const [authority, rotation] = this.#caDir === undefined ? [own, new RootRotation({ authority: own, roster, clock: systemClock, inFlightMs: 0 })] : [guarded, guarded];
    const opened = await openCertificateService({ trustDomain, authority, keystore, clock: { ...systemClock, now: () => Date.now() + this.skewMs }, entropy });
    if (!opened.ok) throw new Error(formatFieldErrors(opened.error));
    this.#server = await startCitadelServer({ service: opened.value, roster, rotation, listen: this.address, socketPath: this.socketPath, log: this.log, stats: this.stats, clock: systemClock, random: mathRandom, ...changes });
    this.#port = this.#server.port;
    return this;
  }

  async stop(): Promise<void> {
    await this.#server?.stop(200);
    this.#server = undefined;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  mint(spiffeId: string): Promise<string> {
    return mintJoinToken(this.socketPath, spiffeId);
  }

  metric(name: string): number {
    const line = expositionText(this.stats).split('\n').find((text) => text.startsWith(`${name} `));
    return Number(line?.split(' ')[1]);
  }

  readonly log = {
    info: (fields: object, message: string): void => void this.lines.push({ ...fields, message }),
    warn: (fields: object, message: string): void => void this.lines.push({ ...fields, message }),
    error: (fields: object, message: string): void => void this.lines.push({ ...fields, message }),
  };
}
