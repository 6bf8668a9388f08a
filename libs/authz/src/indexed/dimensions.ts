import type { MetadataMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/metadata.ts';
import { addressWithoutPort, fieldNameOf, pathOf, portOf, type StreamInfo } from '@meltemi/http';
import { metadataAt } from '@meltemi/match';
import type { Dimension } from './need.ts';

/** A dimension with one value, or none (null). */
function single(id: string, value: (info: StreamInfo) => string | null): Dimension {
  return {
    id,
    read(info, into) {
      const found = value(info);
      if (found === null) return 0;
      into[0] = found;
      return 1;
    },
  };
}

/** Of a path without query and fragment. */
export const pathDimension = single('path', ({ request }) => (request === null || request.path === '' ? null : pathOf(request.path)));

export const serverNameDimension = single('sni', (info) => info.connection.requestedServerName);

export const portDimension = single('port', (info) => String(portOf(info.connection.localAddress)));

export function headerDimension(name: string): Dimension {
  const field = fieldNameOf(name);
  return single(`header ${field}`, ({ request }) => request?.field(field) ?? null);
}

export function addressDimension(id: string, address: (info: StreamInfo) => string): Dimension {
  return single(id, (info) => addressWithoutPort(address(info)));
}

/** The names in the certificate of a peer that is believed. */
export const principalDimension: Dimension = {
  id: 'principal',
  read({ connection: { tls } }, into) {
    if (tls === null || (tls.peerPresented && !tls.peerValidated)) return 0;
    let count = 0;
    for (const uri of tls.peerUriSans) into[count++] = uri;
    for (const dns of tls.peerDnsSans) into[count++] = dns;
    into[count++] = tls.peerSubject;
    return count;
  },
};

/** A text in dynamic metadata, or the texts of a list there. */
export function metadataDimension({ filter, path }: MetadataMatcher): Dimension {
  const keys = path.map(({ segment }) => segment?.value ?? '');
  return {
    id: `metadata ${JSON.stringify([filter, ...keys])}`,
    read({ dynamicMetadata }, into) {
      const value = metadataAt(dynamicMetadata?.[filter], keys);
      let count = 0;
      if (typeof value === 'string') into[count++] = value;
      else if (Array.isArray(value)) for (const member of value as unknown[]) if (typeof member === 'string') into[count++] = member;
      return count;
    },
  };
}

/** The same, without a difference between upper and lower case. */
export function caseless(dimension: Dimension): Dimension {
  return {
    id: `${dimension.id} caseless`,
    read(info, into) {
      const count = dimension.read(info, into);
      for (let i = 0; i < count; i++) into[i] = (into[i] ?? '').toLowerCase();
      return count;
    },
  };
}
