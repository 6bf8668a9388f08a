import type { Clock } from '@meltemi/base';
import type { Keystore, Leadership, ReportStore } from '@meltemi/citadel';
import { EtcdClient, type EtcdOptions } from '@meltemi/config-edge/etcd';
import type { Sealing } from '../sealing/open-sealing.ts';
import { SealedKeystore } from '../shared/sealed-keystore.ts';
import { EtcdLeadership, type EtcdLeadershipOptions } from './etcd-leadership.ts';
import { EtcdReportStore } from './etcd-reports.ts';
import { EtcdValues } from './etcd-values.ts';

/** All that citadels share through one etcd. */
export interface EtcdKeystore {
  readonly keystore: Keystore;
  readonly leadership: Leadership;
  readonly reports: ReportStore;
  /** Gives the lead up and disconnects. */
  stop(): Promise<void>;
}

export interface EtcdKeystoreOptions extends Pick<EtcdLeadershipOptions, 'onChange'> {
  readonly etcd: EtcdOptions;
  readonly sealing: Sealing;
  /** Nothing is changed but who leads. Default false. */
  readonly readOnly?: boolean;
  readonly clock: Clock;
}

/** Apart from pilot's `/meltemi`, so that a role for the prefix of one does not reach the other. */
export const defaultCitadelRoot = '/meltemi-citadel';

/** An operation gives up before citadel's callers do. */
const timeoutMs = 8000;

/** Dials when something is asked, and at once to stand for election. */
export function openEtcdKeystore({ etcd, sealing, readOnly = false, clock, onChange }: EtcdKeystoreOptions): EtcdKeystore {
  const root = etcd.root ?? defaultCitadelRoot;
  const client = new EtcdClient({ timeoutMs, ...etcd });
  const leadership = new EtcdLeadership({ client, root, clock, ...(onChange && { onChange }) });
  return {
    keystore: new SealedKeystore(new EtcdValues(client, root), sealing, { readOnly }),
    leadership,
    reports: new EtcdReportStore(client, root),
    stop: async () => {
      await leadership.stop();
      client.close();
    },
  };
}
