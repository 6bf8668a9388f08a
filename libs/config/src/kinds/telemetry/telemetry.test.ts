import { table } from '../../testing/verdict.ts';
import { telemetry } from './kind.ts';

const tag = (fields: string): string => `{metrics: [{overrides: [{tagOverrides: {a: {${fields}}}}]}]}`;
const tagPath = 'spec.metrics[0].overrides[0].tagOverrides.a.value';
const filter = (expression: string): string => `{accessLogging: [{filter: {expression: "${expression}"}}]}`;
const filterPath = 'spec.accessLogging[0].filter.expression';

table(telemetry, {
  good: [
    ['sampling', '{tracing: [{providers: [{name: zipkin}], randomSamplingPercentage: 10.5, customTags: {a: {literal: {value: b}}}}]}'],
    ['a tag by a formatter', '{tracing: [{customTags: {a: {formatter: {value: "%PROTOCOL% %REQ(X-A?X-B):9%"}}}}]}'],
    ['a filter', filter('response.code >= 400')],
    ['a filter with functions', filter("has(request.headers['x-a']) && request.url_path.startsWith('/api') || connection.mtls")],
    ['a tag of an expression', tag('value: "request.host"')],
    ['a metric of its own', '{metrics: [{overrides: [{match: {customMetric: mine}, tagOverrides: {a: {value: "request.host"}}}]}]}'],
    ['metrics of one side', '{metrics: [{providers: [{name: prometheus}], overrides: [{match: {metric: REQUEST_COUNT, mode: CLIENT}, disabled: true}]}]}'],
  ],
  bad: [
    ['sampling of 101 %', '{tracing: [{randomSamplingPercentage: 101}]}', 'spec.tracing[0].randomSamplingPercentage', /100/],
    ['a tag without value', tag('operation: UPSERT'), tagPath, /required/],
    ['a removed tag with a value', tag('operation: REMOVE, value: b'), tagPath, /REMOVE/],
    ['a filter that is no expression', filter('response.code >='), filterPath, /ends too soon/],
    ['a selector and targetRefs', '{selector: {matchLabels: {a: b}}, targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: a}]}', 'spec', /only one of/],
  ],
  warns: [
    ['a map', filter("{'a': 1}.a == 1"), filterPath, /unsupported/],
    ['a function nobody here has', filter('[1].map(x, x) == [1]'), filterPath, /unsupported/],
    ['a tag by a formatter', '{tracing: [{customTags: {a: {formatter: {value: "%NOT_A_COMMAND% x"}}}}]}', 'spec.tracing[0].customTags.a.formatter', /unsupported/],
  ],
});
