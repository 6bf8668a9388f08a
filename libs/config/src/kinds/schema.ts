import { list, map, object, stringMap, strings } from '../schema/containers.ts';
import { double, int, string } from '../schema/scalars.ts';
import { optional, required, withCel } from '../schema/schema.ts';
import type { CelRule } from '../schema/type.ts';
import type { Destination, LabelSelector, LabelSelectorRequirement, MatchLabelsSelector, Percent, PortSelector, StringMatch, WorkloadSelector } from './types.ts';

export const stringMatch = object<StringMatch>(
  { exact: optional(string()), prefix: optional(string()), regex: optional(string()) },
  { oneofs: [{ keys: ['exact', 'prefix', 'regex'] }] },
);

export const stringMatches = map(stringMatch);

export const percent = object<Percent>({ value: double() });

export const portSelector = object<PortSelector>({ number: int('uint32') });

export const destination = object<Destination>({ host: required(string()), subset: string(), port: optional(portSelector) });

const selectedValue = withCel(string({ maxLength: 63 }), { rule: "!self.contains('*')", message: 'wildcards do not work in a selector' });

export const workloadSelector = object<WorkloadSelector>({ labels: map(selectedValue, { maxKeys: 256 }) });

export const matchLabelsSelector = object<MatchLabelsSelector>({
  matchLabels: withCel(
    map(selectedValue, { maxKeys: 4096 }),
    { rule: "self.all(name, !name.contains('*'))", message: 'wildcards do not work in a selector' },
    { rule: 'self.all(name, name.size() > 0)', message: 'a label name must not be empty' },
  ),
});

/** "a or b, not both" for the CRD; `keys` are fields of a message. */
export function atMostOne(...keys: readonly string[]): CelRule {
  return { rule: `${keys.map((key) => `(has(self.${key}) ? 1 : 0)`).join(' + ')} <= 1`, message: `only one of ${keys.join(', ')} may be set` };
}

export const portRange: CelRule = { rule: 'self >= 1 && self <= 65535', message: 'a port is in the range 1 to 65535' };

export const labelSelector = object<LabelSelector>({
  matchLabels: stringMap(),
  matchExpressions: list(object<LabelSelectorRequirement>({ key: string(), operator: string(), values: strings() })),
});
