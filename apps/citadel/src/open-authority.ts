import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { systemClock } from '@meltemi/base';
import { KeptAuthority, PluggedAuthority, PluggedRotation, RootRotation, UpstreamAuthority, type Authority, type Entropy, type Roster, type Rotation } from '@meltemi/citadel';
import { readCaFiles, UpstreamClient } from '@meltemi/citadel-edge';
import type { OpenedKeystore } from './open-keystore.ts';
import type { CitadelOptions } from './options.ts';

export interface ChosenAuthority {
  readonly authority: Authority;
  /** Undefined: the root is not this citadel's to change. */
  readonly rotation?: Rotation;
  /** What to say when it cannot be opened. */
  readonly problem: (reason: string) => string;
  stop(): void;
}

/** The authority that the flags choose: citadel's own, one that is plugged in, or one elsewhere. */
export function chooseAuthority(values: CitadelOptions, { keystore, leadership, name }: OpenedKeystore, { roster, entropy }: { readonly roster: Roster; readonly entropy: Entropy }): ChosenAuthority {
  const { cacerts, 'trust-domain': trustDomain, 'upstream-ca-address': address, 'upstream-ca-root': rootFile } = values;
  if (address !== undefined && rootFile !== undefined) {
    const upstream = new UpstreamClient({ trustDomain, address, rootFile, ...given('serverName', values['upstream-ca-server-name']), ...given('tokenFile', values['upstream-ca-token-file']), ...given('certFile', values['upstream-ca-cert']), ...given('keyFile', values['upstream-ca-key']) });
    const authority = new UpstreamAuthority({ trustDomain, upstream, readRoots: () => readFile(rootFile, 'utf8'), issuers: keystore });
    return { authority, problem: (reason) => `--upstream-ca-address ${address}: ${reason}`, stop: () => upstream.stop() };
  }
  if (cacerts !== undefined) {
    const plugged = new PluggedAuthority({ trustDomain, read: () => readCaFiles(resolve(cacerts)), issuers: keystore, entropy });
    const authority = new PluggedRotation({ plugged, roster, clock: systemClock, acceptCutOff: values['accept-cut-off'] });
    return { authority, rotation: authority, problem: (reason) => `--cacerts ${cacerts}: ${reason}`, stop: () => undefined };
  }
  const authority = new KeptAuthority({ trustDomain, keystore, leadership, entropy, keyAlgorithm: values['ca-key-algorithm'] });
  return {
    authority, rotation: new RootRotation({ authority, roster, clock: systemClock, leadership }),
    problem: (reason) => `${name}: the authority in it is damaged: ${reason}. Restore it from a backup; it is never replaced by itself`, stop: () => undefined,
  };
}

function given<K extends string>(name: K, value: string | undefined): { readonly [P in K]?: string } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [P in K]: string });
}
