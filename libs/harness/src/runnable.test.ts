import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessLoggerTypes, httpFilterTypes, networkFilterTypes, tracerTypes } from '@meltemi/pilot';
import { fileAccessLoggers, filterExtensions, grpcAccessLoggers, otelAccessLoggers, tracerExtensions } from '@meltemi/proxy';

const url = (type: string) => `type.googleapis.com/${type}`;

test('pilot knows which filters the proxy runs, and what routes may say to them', () => {
  const { httpFilters, networkFilters } = filterExtensions();
  const routeOnly = new Set([...httpFilters.values()].flatMap(({ routeTypeUrls }) => routeTypeUrls ?? []));
  assert.deepEqual(httpFilterTypes.map(([type]) => url(type)).toSorted(), [...httpFilters.keys()].filter((type) => !routeOnly.has(type)).toSorted());
  assert.deepEqual(networkFilterTypes.map(url).toSorted(), [...networkFilters.keys()].toSorted());
  for (const [type, route] of httpFilterTypes) {
    const filter = httpFilters.get(url(type));
    const expected = route === undefined ? undefined : [url(route === true ? type : route)];
    assert.deepEqual(filter?.parseRoute ? (filter.routeTypeUrls ?? [url(type)]) : undefined, expected, type);
  }
});

test('pilot knows which tracers and access loggers the proxy has', () => {
  for (const type of tracerTypes) assert.ok(tracerExtensions.has(url(type)), type);
  const loggers = [...fileAccessLoggers().map(([type]) => type), ...otelAccessLoggers().map(([type]) => type), ...grpcAccessLoggers().map(([type]) => type)];
  assert.deepEqual(accessLoggerTypes.map(url).toSorted(), loggers.toSorted());
});
