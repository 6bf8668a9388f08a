import { clone, fromBinary, toBinary, type DescField } from '@bufbuild/protobuf';
import { reflect, type ReflectList, type ReflectMap, type ReflectMessage } from '@bufbuild/protobuf/reflect';
import { messageSchema } from './json.ts';

export interface MergeOptions {
  /** Lists of the patch take the place of those of the base, at any depth. Default false: they follow them. */
  readonly replaceLists?: boolean;
}

/**
 * Messages that are one value: a patch's takes the place of the base's whole, for merging 1.5 s into 2 s would give 2.5 s.
 * Deviation: Istio does so for durations alone; there `false` and 0 in a wrapper change nothing, here they are what they say.
 */
const oneValue = /^google\.protobuf\.(?:Duration|Timestamp|Any|\w+Value)$/;

/** Protobuf's merge of two encoded messages: fields that the patch sets win, messages merge, lists grow, map entries are replaced. */
export function mergeBinary(typeName: string, base: Uint8Array, patch: Uint8Array, options: MergeOptions = {}): Uint8Array {
  const schema = messageSchema(typeName);
  const target = fromBinary(schema, base);
  merge(reflect(schema, target), reflect(schema, fromBinary(schema, patch)), options);
  return toBinary(schema, target);
}

function merge(target: ReflectMessage, patch: ReflectMessage, options: MergeOptions): void {
  for (const field of patch.fields) if (patch.isSet(field)) mergeField(target, patch, field, options);
}

function mergeField(target: ReflectMessage, patch: ReflectMessage, field: DescField, options: MergeOptions): void {
  switch (field.fieldKind) {
    case 'list': {
      const list: ReflectList = target.get(field);
      if (options.replaceLists === true) list.clear();
      for (const entry of patch.get(field)) list.add(entry);
      return;
    }
    case 'map': {
      const map: ReflectMap = target.get(field);
      for (const [key, value] of patch.get(field)) map.set(key, value);
      return;
    }
    case 'message': {
      const value = patch.get(field);
      if (!target.isSet(field) || oneValue.test(field.message.typeName)) return target.set(field, reflect(field.message, clone(field.message, value.message)));
      const own = target.get(field);
      merge(own, value, options);
      return target.set(field, own);
    }
    default:
      return target.set(field, patch.get(field));
  }
}
