import { expectationGate, runTestProgram, type ExpectationGate } from '@meltemi/pilot-edge';
import type { PilotOptions } from './options.ts';

/** What --admission-tests asks for; undefined: changes are held against nothing. */
export function admissionTests(values: PilotOptions): ExpectationGate | undefined {
  const mode = values['admission-tests'];
  if (mode === 'off') return undefined;
  return expectationGate(mode, (objects) => runTestProgram(objects, { program: values['admission-test-program'], timeoutMs: values['admission-test-timeout'] }));
}
