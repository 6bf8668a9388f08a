import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { BenchCase } from './case.ts';
import { nginxStreamModule } from './peers/nginx.ts';

/** What a case may need → Debian's package. */
const packages: Readonly<Record<string, string>> = { nginx: 'nginx-light', haproxy: 'haproxy', wrk: 'wrk', curl: 'curl', h2load: 'nghttp2-client', nghttpd: 'nghttp2-server', openssl: 'openssl', 'nginx-stream': 'libnginx-mod-stream' };
const always = ['nginx', 'haproxy', 'wrk', 'curl', 'openssl'];

/** Debian packages that these cases need and this machine has not. */
export function missingPackages(cases: readonly BenchCase[]): string[] {
  const needed = new Set([...always, ...cases.flatMap(({ needs }) => needs ?? [])]);
  return [...needed].filter((program) => !present(program)).map((program) => packages[program] ?? program);
}

function present(program: string): boolean {
  if (program === 'nginx-stream') return existsSync(nginxStreamModule);
  return spawnSync('sh', ['-c', `command -v ${program}`], { env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` } }).status === 0;
}
