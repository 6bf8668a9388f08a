import { mergeBinary, typeNameOf, type MessageCodec } from '@meltemi/api';
import type { ExtensionConfigSource } from '@meltemi/api/gen/envoy/config/core/v3/config_source.ts';
import type { Any } from '@meltemi/api/gen/google/protobuf/any.ts';
import { patchedMessages, type EnvoyApplyTo } from '@meltemi/config';
import type { EnvoyFilterPatch } from '../../push-context/envoy-filters.ts';

export type PatchContext = 'SIDECAR_INBOUND' | 'SIDECAR_OUTBOUND' | 'GATEWAY';

/** Why a patch was not applied to something it matches. */
export type PatchReport = (patch: EnvoyFilterPatch, reason: string) => void;

/** Patches on their way into resources of one context. */
export interface Patching {
  readonly context: PatchContext;
  readonly patches: readonly EnvoyFilterPatch[];
  readonly report: PatchReport;
}

/** Those that apply to one kind of thing, in order. */
export function patchesTo({ context, patches }: Patching, applyTo: EnvoyApplyTo): readonly EnvoyFilterPatch[] {
  return patches.filter((patch) => patch.applyTo === applyTo && (patch.match.context === 'ANY' || patch.match.context === context));
}

/** A patch's value, decoded anew: nobody shares it. */
export function valueOf<T>(codec: MessageCodec<T>, { value }: EnvoyFilterPatch): T {
  return codec.decode(value);
}

/** `base` with the patch's message merged in. */
export function merged<T>(codec: MessageCodec<T>, base: T, patch: EnvoyFilterPatch): T {
  const typeName = patchedMessages[patch.applyTo] ?? '';
  return codec.decode(mergeBinary(typeName, codec.encode(base).finish(), patch.value, { replaceLists: patch.operation === 'MERGE_AND_REPLACE_LIST' }));
}

/** `base` with the patch's config merged in; undefined when they are different messages. */
export function mergedAny(base: Any, config: Any, patch: EnvoyFilterPatch): Any | undefined {
  if (typeNameOf(base.typeUrl) !== typeNameOf(config.typeUrl)) return undefined;
  const value = mergeBinary(typeNameOf(base.typeUrl), base.value, config.value, { replaceLists: patch.operation === 'MERGE_AND_REPLACE_LIST' });
  return { typeUrl: base.typeUrl, value: Buffer.from(value) };
}

/** A named extension: filters of all kinds, transport sockets. */
interface Extension {
  readonly name: string;
  readonly configType?: { readonly $case: 'typedConfig'; readonly value: Any } | { readonly $case: 'configDiscovery'; readonly value: ExtensionConfigSource } | undefined;
}

/** A filter merged with the patch's: the name is the patch's if it has one, the configs merge when they are the same message. */
export function mergedExtension<T extends Extension>(base: T, change: Extension, { patch, report }: { readonly patch: EnvoyFilterPatch; readonly report: PatchReport }): T {
  const own = typedConfig(base);
  // as Istio: a filter without a typed config is not merged
  if (!own) return base;
  const name = change.name === '' ? base.name : change.name;
  const config = typedConfig(change);
  if (!config) return { ...base, name };
  const value = mergedAny(own, config, patch);
  if (value) return { ...base, name, configType: { $case: 'typedConfig', value } };
  report(patch, `${typeNameOf(config.typeUrl)} does not merge into ${typeNameOf(own.typeUrl)} of ${base.name}: use REPLACE`);
  return base;
}

export function typedConfig({ configType }: Extension): Any | undefined {
  return configType?.$case === 'typedConfig' ? configType.value : undefined;
}
