import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyAndWait, get, LocalMesh, meltemi, repository, type LocalMeshOptions, type RunningWorkload, type TrafficAnswer } from '../index.ts';

/** Bundles, as `npm test` built them; sources with MELTEMI_E2E_FROM=source. */
export const programsFrom = process.env['MELTEMI_E2E_FROM'] === 'source' ? 'source' : 'bundle';

const samples = join(repository, 'deploy/samples');
const networking = join(samples, 'bookinfo/networking');

/** A running Bookinfo mesh of one test file, in a temporary directory. */
export class BookinfoMesh {
  readonly mesh: LocalMesh;

  private constructor(mesh: LocalMesh) {
    this.mesh = mesh;
  }

  /** `net` differs per test file, so that files and `npm start` may run side by side. `extra` are more manifests: samples' directories or files. */
  static async start(net: number, extra: readonly string[] = [], options: Partial<LocalMeshOptions> = {}): Promise<BookinfoMesh> {
    const mesh = new LocalMesh({
      workDir: mkdtempSync(join(tmpdir(), 'meltemi-e2e-')), net, from: programsFrom,
      manifests: [join(repository, 'deploy/laptop/control-plane.yaml'), join(samples, 'bookinfo/platform'), join(networking, 'bookinfo-gateway.yaml'), join(networking, 'destination-rule-all.yaml'), ...extra],
      ...options,
    });
    const started = new BookinfoMesh(mesh);
    try {
      await mesh.start();
    } catch (cause) {
      await started.stop();
      throw cause;
    }
    return started;
  }

  /** Stops everything. The directory stays when MELTEMI_E2E_KEEP is set, for its logs. */
  async stop(): Promise<void> {
    await this.mesh.stop();
    if (process.env['MELTEMI_E2E_KEEP'] === undefined) rmSync(this.mesh.options.workDir, { recursive: true, force: true });
    else console.error(`kept: ${this.mesh.options.workDir}`);
  }

  /** The gateway's HTTP port. */
  url(path = '/productpage'): string {
    return `http://${this.mesh.gateway.address}:8080${path}`;
  }

  /** productpage as a visitor sees it, signed in when `user` is given. */
  page(user?: string): Promise<TrafficAnswer> {
    return get(this.url(), { headers: user === undefined ? {} : { cookie: `session=${user}` } });
  }

  /** The version of reviews that answers productpage's API now: "v1". */
  async reviewsVersion(user?: string): Promise<string> {
    const answer = await get(this.url('/api/v1/products/0/reviews'), { headers: user === undefined ? {} : { cookie: `session=${user}` } });
    const version = /"podname":\s*"reviews-(v\d)-/.exec(answer.body)?.[1];
    if (version === undefined) throw new Error(`no reviews: status ${answer.status}: ${answer.body}`);
    return version;
  }

  /** How often each version answers. */
  async reviewsVersions(count: number): Promise<Record<string, number>> {
    const seen: Record<string, number> = { v1: 0, v2: 0, v3: 0 };
    for (let sent = 0; sent < count; sent += 10) {
      const versions = await Promise.all(Array.from({ length: 10 }, () => this.reviewsVersion()));
      for (const version of versions) seen[version] = (seen[version] ?? 0) + 1;
    }
    return seen;
  }

  /** `meltemi apply --wait -f` with the sample's own files, by name without ".yaml". */
  apply(...names: readonly string[]): Promise<void> {
    return applyAndWait(this.mesh, { files: names.map((name) => join(networking, `${name}.yaml`)) });
  }

  applyYaml(yaml: string): Promise<void> {
    return applyAndWait(this.mesh, { yaml });
  }

  /** `meltemi delete --wait`. */
  async delete(kind: string, ...names: readonly string[]): Promise<void> {
    const result = await meltemi(this.mesh, ['delete', kind, ...names, '--wait']);
    if (result.code !== 0) throw new Error(`meltemi delete ended with ${result.code}:\n${result.stdout}${result.stderr}`);
  }

  /** A call as the application of `from` makes it: through its sidecar's HTTP proxy port. */
  through(from: RunningWorkload, url: string, options: { headers?: Readonly<Record<string, string>>; method?: string } = {}): Promise<TrafficAnswer> {
    return new Promise((resolve, reject) => {
      const call = httpRequest({ host: from.address, port: 15002, path: url, method: options.method ?? 'GET', headers: { host: new URL(url).host, ...options.headers }, signal: AbortSignal.timeout(15_000) }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8'), headers: response.headers }));
        response.on('error', reject);
      });
      call.on('error', reject);
      call.end();
    });
  }

  /** One proxy's metric lines of `name`, each as its labels and value. */
  async metrics(workload: RunningWorkload, name: string): Promise<Metric[]> {
    const text = await (await fetch(`http://${workload.address}:15000/stats/prometheus`, { signal: AbortSignal.timeout(5000) })).text();
    return text.split('\n').filter((line) => line.startsWith(`${name}{`)).map(parseMetric);
  }
}

export interface Metric {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

function parseMetric(line: string): Metric {
  const end = line.lastIndexOf('}');
  const labels = Object.fromEntries([...line.slice(0, end).matchAll(/(\w+)="([^"]*)"/g)].map((match) => [match[1] ?? '', match[2] ?? '']));
  return { labels, value: Number(line.slice(end + 1)) };
}

/** A page with all of its panels. */
export function isWhole(answer: TrafficAnswer): boolean {
  return answer.status === 200 && answer.body.includes('William Shakespeare') && answer.body.includes('Reviews served by') && !answer.body.includes('unavailable');
}

/** The sum over all series that carry these labels. */
export function sum(metrics: readonly Metric[], labels: Readonly<Record<string, string>>): number {
  return metrics.filter((metric) => Object.entries(labels).every(([name, value]) => metric.labels[name] === value)).reduce((total, metric) => total + metric.value, 0);
}
