import { addTo } from '@meltemi/base';
import { child } from '../../../schema/schema.ts';
import type { Analyzer } from '../../analyzer.ts';
import { maps } from '../../json.ts';
import type { PodView } from '../../kubernetes/pod.ts';
import { selectorText } from '../../kubernetes/selector.ts';
import { messages } from '../../messages/messages.ts';
import { telemetries, telemetryNames, type TelemetryView } from './telemetry.ts';

/** Telemetry that selects no pod, or the same pod as another. */
export const telemetrySelectors: Analyzer = {
  name: 'telemetry.SelectorAnalyzer',
  description: 'Telemetry that selects no pod or the same pods as another',
  analyze(mesh, report) {
    const byPod = new Map<PodView, TelemetryView[]>();
    for (const view of telemetries(mesh)) {
      const labels = view.selector ?? {};
      const [first] = Object.keys(labels).sort();
      if (first === undefined) continue;
      const selected = mesh.podsSelectedBy(labels, view.object.key.namespace);
      for (const pod of selected) addTo(byPod, pod, view);
      if (selected.length === 0) report(view.object, messages.notFound('selector', selectorText(labels)), { path: child('spec.selector.matchLabels', first) });
    }
    for (const [pod, views] of byPod)
      if (views.length > 1) for (const { object } of views) report(object, messages.conflictingTelemetries(telemetryNames(views), pod.namespace, pod.name), { path: 'metadata.name' });
  },
};

/** Two Telemetries for a whole namespace. */
export const defaultTelemetries: Analyzer = {
  name: 'telemetry.DefaultSelectorAnalyzer',
  description: 'Several Telemetries without a selector in one namespace',
  analyze(mesh, report) {
    for (const [namespace, views] of Map.groupBy(telemetries(mesh).filter(({ selector, spec }) => selector === undefined && spec['targetRef'] === undefined && maps(spec['targetRefs']).length === 0), (view) => view.object.key.namespace))
      if (views.length > 1) for (const { object } of views) report(object, messages.multipleDefaultTelemetries(telemetryNames(views), namespace), { path: 'metadata.name' });
  },
};
