// Loaded with `node --import` before a test file: every `import … from 'fast-check'` then gets long-running.ts beside this file.
import { registerHooks } from 'node:module';

const longRunning = new URL('./long-running.ts', import.meta.url).href;

registerHooks({
  resolve: (specifier, context, nextResolve) => (specifier === 'fast-check' && context.parentURL !== longRunning ? { url: longRunning, shortCircuit: true } : nextResolve(specifier, context)),
});
