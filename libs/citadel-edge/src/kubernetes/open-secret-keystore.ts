import type { Keystore, Leadership, ReportStore } from '@meltemi/citadel';
import type { Sealing } from '../sealing/open-sealing.ts';
import { SealedKeystore } from '../shared/sealed-keystore.ts';
import type { KubernetesApi } from './api.ts';
import { ApiSecrets } from './api-secrets.ts';
import { SecretClaim, type SecretClaimOptions } from './secret-claim.ts';
import { SecretReportStore } from './secret-reports.ts';
import { SecretValues } from './secret-values.ts';

export interface SecretKeystoreOptions extends Omit<SecretClaimOptions, 'values'> {
  readonly api: KubernetesApi;
  readonly namespace: string;
  /** Begins the names of its Secrets, and is their label. */
  readonly keystore: string;
  readonly sealing: Sealing;
  readonly readOnly?: boolean;
}

/** A keystore in Secrets of one namespace, for this program alone. Rejects while another has it. */
export async function openSecretKeystore({ api, namespace, keystore, sealing, readOnly = false, ...claiming }: SecretKeystoreOptions): Promise<{ readonly keystore: Keystore; readonly leadership: Leadership; readonly reports: ReportStore; stop(): Promise<void> }> {
  const secrets = new ApiSecrets({ api, namespace, keystore });
  const values = new SecretValues(secrets, keystore);
  const claim = await SecretClaim.take({ ...claiming, values }).catch((cause: unknown) => {
    secrets.stop();
    throw cause;
  });
  return {
    keystore: new SealedKeystore(values, sealing, { readOnly }), leadership: claim, reports: new SecretReportStore(values),
    stop: async () => {
      await claim.stop();
      secrets.stop();
    },
  };
}
