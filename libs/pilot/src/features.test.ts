import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultFeatures, featuresFrom, featureVariables } from './features.ts';

test('a switch is read under Istio\'s name as Go reads booleans; anything else leaves its default', () => {
  assert.equal(defaultFeatures.http10, false);
  for (const [text, expected] of [['true', true], ['1', true], ['T', true], ['false', false], ['', false], ['yes', false], ['on', false]] as const) assert.equal(featuresFrom({ PILOT_HTTP10: text }).http10, expected, text);
  assert.equal(defaultFeatures.disableShadowHostSuffix, true);
  for (const [text, expected] of [['false', false], ['0', false], ['no', true]] as const) assert.equal(featuresFrom({ DISABLE_SHADOW_HOST_SUFFIX: text }).disableShadowHostSuffix, expected, text);
});

test('every switch has a variable of its own', () => {
  assert.equal(new Set(featureVariables).size, Object.keys(defaultFeatures).length);
});
