import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatAddress, isLoopback, parseAddress } from './address.ts';
import { parseCommandLine } from './command-line.ts';
import { resolveOptions, type OptionSpec } from './options.ts';
import { redactFields, textLine } from './log.ts';

const specs: readonly OptionSpec[] = [
  { name: 'config-path', type: 'string', short: 'c', description: 'a file' },
  { name: 'loud', type: 'bool', description: 'a switch' },
  { name: 'names', type: 'list', default: 'x', description: 'names' },
  { name: 'wait', type: 'duration', default: '1.5s', description: 'a time' },
  { name: 'needed', type: 'address', required: true, description: 'a place' },
];

function parse(argv: readonly string[], environment: Record<string, string> = {}) {
  const line = parseCommandLine({ name: 'tool', description: '', version: '1.2.3', options: specs, operands: 'file' }, argv);
  if (line.kind === 'exit') return line;
  return { ...line, resolved: resolveOptions(specs, line.flags, environment) };
}

test('a switch does not swallow the operand behind it', () => {
  for (const [argv, loud, operands] of [
    [['--loud', 'a.yaml', '--needed', 'h:1'], true, ['a.yaml']],
    [['--loud', 'false', 'a.yaml', '--needed', 'h:1'], false, ['a.yaml']],
    [['--loud=false', '--needed', 'h:1'], false, []],
    [['--needed', 'h:1', '--', '--loud'], false, ['--loud']],
  ] as const) {
    const line = parse(argv);
    assert.ok(line.kind === 'run' && line.resolved.ok, JSON.stringify(line));
    assert.equal(line.resolved.value.values['loud'], loud);
    assert.deepEqual(line.operands, operands);
  }
});

test('values are typed, durations in milliseconds, lists joined over repeats', () => {
  const line = parse(['-c', 'boot.yaml', '--names', 'a,b', '--names', 'c', '--needed', '[::1]:0']);
  assert.ok(line.kind === 'run' && line.resolved.ok);
  assert.deepEqual(line.resolved.value.values, { 'config-path': 'boot.yaml', loud: false, names: ['a', 'b', 'c'], wait: 1500, needed: { host: '::1', port: 0 } });
  assert.deepEqual([...line.resolved.value.given].sort(), ['config-path', 'names', 'needed']);
});

test('a required option that is missing names its flag and its environment name', () => {
  const line = parse([]);
  assert.ok(line.kind === 'run' && !line.resolved.ok);
  assert.deepEqual(line.resolved.error, [{ path: '--needed', message: 'is required; give it or set MELTEMI_NEEDED' }]);
});

test('an error in the environment names the variable, not a flag nobody gave', () => {
  const line = parse(['--needed', 'h:1'], { MELTEMI_WAIT: 'soon' });
  assert.ok(line.kind === 'run' && !line.resolved.ok);
  assert.equal(line.resolved.error[0]?.path, 'MELTEMI_WAIT');
});

test('help and version exit 0, mistakes 2', () => {
  for (const [argv, code] of [[['--help'], 0], [['--version'], 0], [['--conf-path', 'x'], 2], [['--config-path'], 2]] as const) {
    const line = parse(argv);
    assert.ok(line.kind === 'exit');
    assert.equal(line.code, code, argv.join(' '));
  }
});

test('addresses read back as written; a bare port or colon is refused', () => {
  for (const text of ['127.0.0.1:15014', '[::1]:0', 'localhost:8080', '[fe80::1%eth0]:1']) {
    const parsed = parseAddress(text);
    assert.ok(parsed.ok, text);
    assert.equal(formatAddress(parsed.value), text);
  }
  for (const text of ['', ':80', '80', 'host', 'host:', 'host:70000', '::1:80', 'http://h:1', 'h:1 ']) assert.equal(parseAddress(text).ok, false, text);
  assert.deepEqual(['127.3.2.1', '::1', 'localhost', '0.0.0.0', '::', '10.0.0.1', '127.evil.example.com'].map(isLoopback), [true, true, true, false, false, false, false]);
});

test('no command line throws: it runs, or exits 2 with a text', () => {
  const words = fc.oneof(fc.string(), fc.constantFrom('--loud', '--loud=', '-c', '--', '-', '--names', '--needed', 'h:1', '--wait=5m', '--config-path='));
  fc.assert(
    fc.property(fc.array(words, { maxLength: 6 }), (argv) => {
      const line = parse(argv);
      if (line.kind === 'exit') assert.ok(line.code === 0 || (line.code === 2 && line.error !== ''));
    }),
    { numRuns: 200 },
  );
});

test('secret-looking fields are redacted at any near depth, file names and errors are not touched', () => {
  const error = new Error('x');
  assert.deepEqual(redactFields({ joinToken: 't', joinTokenFile: '/f', a: [{ private_key: 'k', headers: { authorization: 'b' } }], err: error }, 0), {
    joinToken: '[redacted]',
    joinTokenFile: '/f',
    a: [{ private_key: '[redacted]', headers: { authorization: '[redacted]' } }],
    err: error,
  });
});

test('text lines quote what needs it and carry the stack', () => {
  const line = textLine(JSON.stringify({ level: 'error', time: '2026-01-01T00:00:00.000Z', pid: 1, hostname: 'h', name: 'pilot', err: { message: 'bad', stack: 'Error: bad\n at x' }, file: 'a b', n: 1, msg: 'it broke' }));
  assert.equal(line, '2026-01-01T00:00:00.000Z error pilot: it broke err=bad file="a b" n=1\nError: bad\n at x\n');
});
