import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { xdsType } from './resource-types.ts';
import { resourceSet, xdsResource, type ResourceSet, type XdsResource } from './resource-set.ts';

/** A resource for tests: its name in field 1, as in every xDS type, and free text in field 2. A route's text is the cluster it points at. */
export function testResource(typeUrl: string, name: string, text: string): XdsResource {
  const bytes = new BinaryWriter().uint32(10).string(name).uint32(18).string(text).finish();
  return xdsResource(name, { typeUrl, value: Buffer.from(bytes) }, typeUrl === xdsType.route ? () => [text] : undefined);
}

/** A set from name → text. */
export function testSet(typeUrl: string, texts: Readonly<Record<string, string>>): ResourceSet {
  return resourceSet(
    typeUrl,
    Object.entries(texts).map(([name, text]) => testResource(typeUrl, name, text)),
  );
}
