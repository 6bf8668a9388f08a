import { map, object } from '../../schema/containers.ts';
import { oneOf } from '../../schema/scalars.ts';
import { optional } from '../../schema/schema.ts';
import { matchLabelsSelector } from '../schema.ts';
import type { MutualTls, PeerAuthenticationSpec } from './types.ts';

const mtls = object<MutualTls>({ mode: oneOf(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']) });

export const schema = object<PeerAuthenticationSpec>({
  selector: optional(matchLabelsSelector),
  mtls: optional(mtls),
  portLevelMtls: map(mtls, {
    minKeys: 1,
    key: (port) => (/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65535 ? undefined : `"${port}" is not a port in the range 1…65535`),
  }),
});
