import { list, map, object, stringMap, strings } from '../schema/containers.ts';
import { double, int, string } from '../schema/scalars.ts';
import { optional, required } from '../schema/schema.ts';
import type { Destination, LabelSelector, LabelSelectorRequirement, MatchLabelsSelector, Percent, PortSelector, StringMatch, WorkloadSelector } from './types.ts';

export const stringMatch = object<StringMatch>(
  { exact: optional(string()), prefix: optional(string()), regex: optional(string()) },
  { oneofs: [{ keys: ['exact', 'prefix', 'regex'] }] },
);

export const stringMatches = map(stringMatch);

export const percent = object<Percent>({ value: double() });

export const portSelector = object<PortSelector>({ number: int('uint32') });

export const destination = object<Destination>({ host: required(string()), subset: string(), port: optional(portSelector) });

export const workloadSelector = object<WorkloadSelector>({ labels: stringMap({ maxKeys: 256 }) });

export const matchLabelsSelector = object<MatchLabelsSelector>({ matchLabels: stringMap({ maxKeys: 4096 }) });

export const labelSelector = object<LabelSelector>({
  matchLabels: stringMap(),
  matchExpressions: list(object<LabelSelectorRequirement>({ key: string(), operator: string(), values: strings() })),
});
