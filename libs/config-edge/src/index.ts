export { openStateDir, type StateDirOptions, type StateDirOpened } from './state-dir/open-state-dir.ts';
