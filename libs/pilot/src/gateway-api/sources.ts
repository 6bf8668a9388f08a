import type { Config, ConfigKey } from '@meltemi/config';
import type { PushContext } from '../push-context/push-context.ts';
import { convertedKinds } from './convert.ts';
import { ruleName } from './http-rules.ts';
import { notes } from './names.ts';

/** An object that somebody wrote, and the field in it. */
export interface Source {
  readonly key: ConfigKey;
  readonly field: string;
}

/** The Gateway API route (with the rule) or the Ingress that a generated VirtualService's route was made of; undefined for a VirtualService that somebody wrote. */
export function sourceOfRoute(push: PushContext, virtualService: Pick<ConfigKey, 'namespace' | 'name'>, routeName: string): Source | undefined {
  const generated = push.gatewayApi.virtualServices.find(({ key }) => key.name === virtualService.name && key.namespace === virtualService.namespace);
  const parents = generated?.meta.annotations[notes.parents]?.split(',') ?? [];
  const written = [...push.gatewayApi.outcome.routes.map(({ config }) => config), ...(push.gatewayApi.inputs.get(convertedKinds.ingress) ?? [])];
  const sources = written.filter(({ key, meta }) => parents.includes(`${key.kind}/${meta.name}.${meta.namespace}`));
  for (const config of sources) {
    const index = rulesOf(config).findIndex((rule, at) => ruleName(config, rule, at) === routeName);
    if (index >= 0) return { key: config.key, field: `spec.rules[${index}]` };
  }
  const [only] = sources;
  return only && { key: only.key, field: '' };
}

function rulesOf({ key, spec }: Config): readonly { readonly name?: string }[] {
  return key.kind === convertedKinds.httpRoute || key.kind === convertedKinds.grpcRoute ? (spec as { readonly rules: readonly { readonly name?: string }[] }).rules : [];
}
