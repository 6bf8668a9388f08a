import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCpuProfile } from './cpu-profile.ts';
import { readPerfScript } from './perf.ts';

const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 9, columnNumber: 0 });

test("a profile's own times are by folder of the source; idle time and start-up do not count", () => {
  const nodes = [frame('(idle)'), frame('(program)'), frame('parse', 'file:///home/x/libs/proxy/src/codec/http1/parser.ts'), frame('boot', 'file:///home/x/libs/base/src/boot.ts')].map((callFrame, index) => ({ id: index + 1, callFrame }));
  const times = readCpuProfile(JSON.stringify({ nodes, samples: [4, 2, 3, 1, 3], timeDeltas: [900_000, 100_000, 300_000, 300_000, 300_000] }), 1);
  assert.deepEqual([times.busyMicros, [...times.groups]], [700_000, [['(program)', 100_000], ['proxy/codec/http1', 600_000]]]);
  assert.deepEqual(times.functions[0], { name: 'parse', place: 'libs/proxy/src/codec/http1/parser.ts:10', micros: 600_000 });
});

test("perf's samples are told apart by what the innermost known frame does", () => {
  const stacks = [
    [' 1 copy ([kernel.kallsyms])', ' 2 tcp_rcv_established ([kernel.kallsyms])', ' 3 vfs_write ([kernel.kallsyms])', ' 4 node::Write (/bin/node)'],
    [' 1 gcm_update (/bin/node)', ' 2 SSL_read (/bin/node)'],
    [' 1 [unknown] (/tmp/perf-12.map)', ' 2 Builtins_JSEntry (/bin/node)', ' 3 SSL_read (/bin/node)'],
    [' 1 v8::internal::HeapObject::SizeFromMap (/bin/node)', ' 2 v8::internal::Scavenger::Process (/bin/node)'],
  ];
  const shares = readPerfScript(stacks.map((frames) => ['node ', ...frames].join('\n')).join('\n\n'));
  assert.deepEqual([...shares], [['kernel: write', 0.25], ['TLS', 0.25], ['JavaScript', 0.25], ['garbage collector', 0.25]]);
});
