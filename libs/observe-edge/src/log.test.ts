import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { createLogger } from './log.ts';

for (const format of ['json', 'text'] as const)
  test(`a full disk under the ${format} log ends nothing`, (t) => {
    const fd = openSync('/dev/full', 'w');
    t.after(() => closeSync(fd));
    const log = createLogger({ name: 'test', level: 'info', format, fd });
    for (let line = 0; line < 3; line++) assert.doesNotThrow(() => log.info({ line }, 'nobody reads this'));
  });
