import { addressWithoutPort, remoteAddress, type ConnectionInfo, type HeaderMap } from '@meltemi/http';
import { parseIp } from '@meltemi/match';
import type { FieldDetector, ForwardedForDetector, IpDetector } from '@meltemi/snapshot';
import { originOf } from './forwarded.ts';

/** What the detectors of a connection manager found out. */
export interface DetectedOrigin {
  /** The client's address without port; "" when nobody knows. */
  readonly address: string;
  /** It may be judged by whether it is an internal one. */
  readonly trusted: boolean;
  /** Status of the answer to a request whose origin must be known and is not; 0 = none. */
  readonly refusal: number;
}

const unknown: DetectedOrigin = { address: '', trusted: false, refusal: 0 };
/** Nobody has this many proxies in a row; who says so wants us to work. */
const maxForwarded = 20;

/** Asks each detector in turn who the client is; those that are asked add the peer to x-forwarded-for where they are to. */
export function detectOrigin(detectors: readonly IpDetector[], headers: HeaderMap, connection: ConnectionInfo): DetectedOrigin {
  const peer = addressWithoutPort(remoteAddress(connection));
  for (const detector of detectors) {
    const found = detector.kind === 'field' ? byField(detector, headers) : byForwardedFor(detector, headers, peer);
    if (found.address !== '' || found.refusal !== 0) return found;
  }
  return unknown;
}

function byField({ name, trusted, refusal }: FieldDetector, headers: HeaderMap): DetectedOrigin {
  const said = headers.get(name)?.trim() ?? '';
  return parseIp(said) === null ? { ...unknown, refusal: refusal ?? 0 } : { address: said, trusted, refusal: 0 };
}

function byForwardedFor({ hops, proxies, appends }: ForwardedForDetector, headers: HeaderMap, peer: string): DetectedOrigin {
  const said = headers.getAll('x-forwarded-for');
  const believed = proxies === null || proxies.contains(peer);
  if ((appends || !believed) && parseIp(peer) !== null) headers.set('x-forwarded-for', said === null || said === '' ? peer : `${said},${peer}`);
  if (!believed) return unknown;
  if (proxies !== null) return said === null ? unknown : lastStranger(said.split(','), proxies);
  const { address, single } = originOf(said, hops);
  return { address, trusted: single, refusal: 0 };
}

/** The last entry that is none of our proxies; the first when all are. */
function lastStranger(entries: readonly string[], proxies: { contains(address: string): boolean }): DetectedOrigin {
  if (entries.length > maxForwarded) return unknown;
  let address = '';
  for (const entry of entries.toReversed()) {
    address = addressWithoutPort(entry.trim());
    if (parseIp(address) === null) return unknown;
    if (!proxies.contains(address)) break;
  }
  return { address, trusted: entries.length === 1, refusal: 0 };
}
