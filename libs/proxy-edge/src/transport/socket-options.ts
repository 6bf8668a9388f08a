import { fail, ok, type Result } from '@meltemi/base';
import { formatIp } from '@meltemi/match';

/** Options of sockets that Node does not give: read and set through the optional helper, by file descriptor. */
export interface SocketOptions {
  /** Where a connection was going before a REDIRECT rule turned it to us; null when no rule did. About half a microsecond. */
  originalDestination(fd: number): Destination | null;
  /** Lets a listening socket take connections to addresses that are not this machine's (TPROXY), and answer from them. Needs CAP_NET_ADMIN. */
  setTransparent(fd: number): Result<void>;
  /** Who is at the other end of a Unix socket (SO_PEERCRED): as the kernel saw it when it connected. Null when it cannot be told. */
  peerCredentials(fd: number): PeerCredentials | null;
}

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface Destination {
  readonly ip: string;
  readonly port: number;
}

/** Linux: SOL_SOCKET and its SO_PEERCRED, SOL_IP and its SO_ORIGINAL_DST and IP_TRANSPARENT, SOL_IPV6 and its IP6T_SO_ORIGINAL_DST and IPV6_TRANSPARENT. */
const ipv4 = { level: 0, originalDst: 80, transparent: 19, family: 2 } as const;
const ipv6 = { level: 41, originalDst: 80, transparent: 75, family: 10 } as const;
const unix = { level: 1, peerCredentials: 17, bytes: 12 } as const;
const sockaddrBytes = 28;

export const helperMissing =
  'needs to ask the kernel where a captured connection was going, which Node cannot: install the optional helper beside the program (npm install koffi@3.3.4), or listen without original_dst and use_original_dst';

let loaded: Promise<Result<SocketOptions>> | undefined;

/** The helper of this thread, loaded at first use; fails with what to do when it is not installed. */
export function loadSocketOptions(): Promise<Result<SocketOptions>> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Result<SocketOptions>> {
  if (process.platform !== 'linux') return fail('', `traffic is captured on Linux only; this is ${process.platform}`);
  try {
    const { default: koffi } = await import('koffi');
    const libc = koffi.load(null);
    return ok(bind({
      get: libc.func('int getsockopt(int fd, int level, int name, void *value, void *length)') as Call,
      set: libc.func('int setsockopt(int fd, int level, int name, void *value, uint32_t length)') as Set,
      errno: () => koffi.errno(),
    }));
  } catch (cause) {
    return fail('', `${helperMissing} (${cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause)})`);
  }
}

type Call = (fd: number, level: number, name: number, value: Buffer, length: Buffer) => number;
type Set = (fd: number, level: number, name: number, value: Buffer, length: number) => number;

function bind(libc: { get: Call; set: Set; errno: () => number }): SocketOptions {
  // One thread asks one question at a time.
  const address = Buffer.alloc(sockaddrBytes);
  const length = Buffer.alloc(4);
  const one = Buffer.from([1, 0, 0, 0]);
  const ask = ({ level, originalDst, family }: typeof ipv4 | typeof ipv6, fd: number): Destination | null => {
    length.writeUInt32LE(sockaddrBytes);
    if (libc.get(fd, level, originalDst, address, length) !== 0 || address.readUInt16LE(0) !== family) return null;
    return { ip: formatIp(family === ipv4.family ? address.subarray(4, 8) : address.subarray(8, 24)), port: address.readUInt16BE(2) };
  };
  return {
    // A dual-stack socket that carries IPv4 knows the destination by IPv4's option only.
    originalDestination: (fd) => ask(ipv4, fd) ?? ask(ipv6, fd),
    peerCredentials(fd) {
      length.writeUInt32LE(unix.bytes);
      if (libc.get(fd, unix.level, unix.peerCredentials, address, length) !== 0 || length.readUInt32LE(0) !== unix.bytes) return null;
      return { pid: address.readInt32LE(0), uid: address.readUInt32LE(4), gid: address.readUInt32LE(8) };
    },
    setTransparent(fd) {
      const done = libc.set(fd, ipv6.level, ipv6.transparent, one, 4) === 0;
      // Dual-stack sockets take both options, IPv4 ones only their own.
      if (libc.set(fd, ipv4.level, ipv4.transparent, one, 4) === 0 || done) return ok(undefined);
      const errno = libc.errno();
      return fail('transparent', errno === 1 ? 'needs the capability CAP_NET_ADMIN: run the proxy with it, or capture with REDIRECT' : `cannot be set on this socket (errno ${errno})`);
    },
  };
}
