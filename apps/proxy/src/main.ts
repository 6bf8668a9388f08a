import { restartFrugal } from './restart-frugal.ts';

// Before anything large is loaded: a process that starts over loses only its first milliseconds.
restartFrugal();
await import('./program.ts');
