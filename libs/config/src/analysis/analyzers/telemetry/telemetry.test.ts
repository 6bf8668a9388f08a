import { cases, documents, object } from '../../testing/cases.ts';
import { lightstepProviders, telemetryProviders } from './providers.ts';
import { defaultTelemetries, telemetrySelectors } from './selectors.ts';

const telemetry = (name: string, spec: string, namespace = 'shop') => object('telemetry.istio.io/v1', 'Telemetry', `{name: ${name}, namespace: ${namespace}}`, `spec: ${spec}`);
const selecting = (name: string, labels: string, namespace?: string) => telemetry(name, `{selector: {matchLabels: ${labels}}}`, namespace);
const pod = object('v1', 'Pod', '{name: cart-1, namespace: shop, labels: {app: cart, version: v1}}', 'spec: {containers: [{name: a}]}');

cases(telemetryProviders, {
  'access logging without a provider': { yaml: telemetry('a', '{accessLogging: [{filter: {expression: "true"}}]}'), finds: [['IST0157 Telemetry a.shop', 4, /Telemetry a in namespace "shop"/]] },
  'with one': { yaml: telemetry('a', '{accessLogging: [{providers: [{name: envoy}]}]}'), finds: [] },
  'with a default one': { yaml: telemetry('a', '{accessLogging: [{}]}'), meshConfig: 'defaultProviders: {accessLogging: [envoy]}', finds: [] },
  'switched off': { yaml: telemetry('a', '{accessLogging: [{disabled: true}]}'), finds: [] },
});

const providers = 'extensionProviders: [{name: old, lightstep: {service: a.b, port: 1, accessToken: t}}, {name: new, opentelemetry: {service: a.b, port: 2}}]';
cases(lightstepProviders, {
  'tracing to Lightstep': { yaml: telemetry('a', '{tracing: [{providers: [{name: old}]}]}'), meshConfig: providers, finds: [['IST0002 Telemetry a.shop', 4, /provider old/]] },
  'tracing to another': { yaml: telemetry('a', '{tracing: [{providers: [{name: new}]}]}'), meshConfig: providers, finds: [] },
});

cases(telemetrySelectors, {
  'a selector no pod has': { yaml: documents(selecting('a', '{app: chart}'), pod), finds: [['IST0101 Telemetry a.shop', 4, /"app=chart"/]] },
  'two that select one pod': { yaml: documents(selecting('a', '{app: cart}'), selecting('b', '{version: v1}'), pod), finds: [['IST0159 Telemetry a.shop', 3, /"a" and "b".*"cart-1"/], ['IST0159 Telemetry b.shop', 8, /./]] },
  'one, in the pod\'s namespace': { yaml: documents(selecting('a', '{app: cart}'), pod), finds: [] },
});

cases(defaultTelemetries, {
  'two for a whole namespace': { yaml: documents(telemetry('a', '{}'), telemetry('b', '{}')), finds: [['IST0160 Telemetry a.shop', 3, /"a" and "b" in namespace "shop"/], ['IST0160 Telemetry b.shop', 8, /./]] },
  'one each, and one with a selector': { yaml: documents(telemetry('a', '{}'), telemetry('b', '{}', 'bank'), selecting('c', '{app: cart}')), finds: [] },
  'one for a gateway': { yaml: documents(telemetry('a', '{}'), telemetry('b', '{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: g}]}')), finds: [] },
});
