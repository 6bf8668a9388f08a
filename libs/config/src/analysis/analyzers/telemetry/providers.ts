import type { Analyzer } from '../../analyzer.ts';
import { maps, text } from '../../json.ts';
import { messages } from '../../messages/messages.ts';
import { telemetries } from './telemetry.ts';

/** Access logging without any provider. */
export const telemetryProviders: Analyzer = {
  name: 'telemetry.ProviderAnalyzer',
  description: 'Telemetry access logging that names no provider, with no default one',
  analyze(mesh, report) {
    if (mesh.meshConfig.defaultProviders.accessLogging.length > 0) return;
    for (const { object, spec } of telemetries(mesh))
      for (const [i, logging] of maps(spec['accessLogging']).entries())
        if (logging['disabled'] !== true && maps(logging['providers']).length === 0) report(object, messages.emptyTelemetryProviders(object.key.name, object.key.namespace), { path: `spec.accessLogging[${i}]` });
  },
};

/** Tracing by a provider that is deprecated. */
export const lightstepProviders: Analyzer = {
  name: 'telemetry.LightstepAnalyzer',
  description: 'Telemetry that still traces to a Lightstep provider',
  analyze(mesh, report) {
    const lightstep = mesh.meshConfig.extensionProviders.filter((provider) => provider.lightstep !== undefined).map((provider) => provider.name);
    if (lightstep.length === 0) return;
    for (const { object, spec } of telemetries(mesh))
      for (const [i, tracing] of maps(spec['tracing']).entries())
        for (const [j, provider] of maps(tracing['providers']).entries()) {
          const name = text(provider['name']);
          if (lightstep.includes(name)) report(object, messages.deprecated(`the provider ${name} is of Lightstep's own protocol: move to OpenTelemetry`), { path: `spec.tracing[${i}].providers[${j}]` });
        }
  },
};
