import { map, object } from '../../schema/containers.ts';
import { oneOf } from '../../schema/scalars.ts';
import { optional, withCel } from '../../schema/schema.ts';
import { matchLabelsSelector } from '../schema.ts';
import type { MutualTls, PeerAuthenticationSpec } from './types.ts';

const mtls = object<MutualTls>({ mode: oneOf(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']) });

export const schema = withCel(object<PeerAuthenticationSpec>({
  selector: optional(matchLabelsSelector),
  mtls: optional(mtls),
  portLevelMtls: withCel(map(mtls, {
    minKeys: 1,
    key: (port) => (/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65535 ? undefined : `"${port}" is not a port in the range 1…65535`),
  }), { rule: 'self.all(port, int(port) >= 1 && int(port) <= 65535)', message: 'a port is in the range 1 to 65535' }),
}), { rule: '!has(self.portLevelMtls) || (has(self.selector) && has(self.selector.matchLabels) && self.selector.matchLabels.size() > 0)', message: 'portLevelMtls needs a selector with labels' });
