import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

/** Whether the kernel's profiler is here and may be used. */
export function hasPerf(): boolean {
  return spawnSync('perf', ['stat', '-e', 'cpu-clock', 'true'], { stdio: 'ignore', timeout: 10_000 }).status === 0;
}

export function recordArguments(pids: readonly number[], seconds: number, file: string): readonly [string, ...string[]] {
  return ['perf', 'record', '-q', '-e', 'cpu-clock', '-F', '1999', '-g', '-p', pids.join(','), '-o', file, '--', 'sleep', String(Math.max(0.5, seconds - 0.3))];
}

/** Shares of all samples by group; "JavaScript" is compiled code, whoever's. */
export async function perfGroups(file: string): Promise<Map<string, number>> {
  const { stdout } = await promisify(execFile)('perf', ['script', '-i', file, '-F', 'comm,ip,sym,dso'], { timeout: 60_000, maxBuffer: 256 * 2 ** 20 });
  return readPerfScript(stdout);
}

/** Reads `perf script -F comm,ip,sym,dso`: blocks of a command and its frames, innermost first, divided by empty lines. */
export function readPerfScript(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  let all = 0;
  for (const block of text.split('\n\n')) {
    const [, ...frames] = block.trim().split('\n').map((line) => line.trim());
    if (frames.length === 0) continue;
    all++;
    const group = groupOf(frames);
    counts.set(group, (counts.get(group) ?? 0) + 1);
  }
  return new Map([...counts].map(([group, count]) => [group, count / all]));
}

const compiled = /perf-\d+\.map|\[unknown\]|\[anon|\[JIT\]/;
const collector = /v8::internal::.*(Scaveng|MarkCompact|Marking|Sweep|Evacuat|CollectGarbage|PerformGarbageCollection)/;

/** The innermost frame that one of these matches says what a sample was for. */
const native: readonly (readonly [group: string, pattern: RegExp])[] = [
  ['TLS', / (SSL_|ssl3?_|tls_|tls1_|tls13_|EVP_|ossl_|OPENSSL_|CRYPTO_|ERR_|BIO_|bio_|aes|_?aesni|gcm_|ecp_|bn_|sha\d|generic_aes)|node::crypto::/],
  ['libuv', / uv_/],
  ["Node's C++", / node::/],
  ["V8's runtime and builtins (strings, calls, lookups)", / (v8::|Builtins_)/],
];

function groupOf(frames: readonly string[]): string {
  if (frames[0]?.includes('[kernel')) return systemCall(frames);
  const untilCompiled = frames.findIndex((frame) => compiled.test(frame));
  if (frames.slice(0, untilCompiled < 0 ? frames.length : untilCompiled).some((frame) => collector.test(frame))) return 'garbage collector';
  for (const frame of frames) {
    if (compiled.test(frame)) return 'JavaScript';
    const found = native.find(([, pattern]) => pattern.test(frame));
    if (found) return found[0];
  }
  return 'other native code';
}

/** By the kernel's own names and by the C library's, as either may be missing from a stack. */
const calls: readonly (readonly [group: string, pattern: RegExp])[] = [
  ['kernel: write', / (__x64_sys_|__arm64_sys_)(write|writev|sendto|sendmsg)\b| (vfs_writev?|ksys_write|do_writev|sock_write_iter|tcp_sendmsg|__sys_sendto)\b|libc_write/],
  ['kernel: read', / (__x64_sys_|__arm64_sys_)(read|readv|recvfrom|recvmsg)\b| (vfs_readv?|ksys_read|sock_read_iter|tcp_recvmsg|__sys_recvfrom)\b|libc_read/],
  ['kernel: epoll', /_sys_epoll_|do_epoll_wait|do_epoll_ctl|epoll_pwait|epoll_ctl/],
  ['kernel: accept, connect, close', /_sys_(accept4?|connect|close|shutdown|socket)\b|__fput|inet_shutdown/],
  ['kernel: futex', /futex/],
];

/** The outermost frame decides: a write on loopback also runs the receiver's side. */
function systemCall(frames: readonly string[]): string {
  for (const frame of frames.toReversed()) {
    const found = calls.find(([, pattern]) => pattern.test(frame));
    if (found) return found[0];
  }
  return 'kernel: other';
}
