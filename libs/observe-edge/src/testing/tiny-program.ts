import { createServer, type AddressInfo } from 'node:net';
import { runProgram } from '../program.ts';

await runProgram({
  name: 'meltemi-tiny',
  description: 'A program for tests of the frame.',
  adminListen: '127.0.0.1:0',
  options: [
    { name: 'listen', type: 'address', default: '127.0.0.1:0', description: 'where it listens' },
    { name: 'count', type: 'int', min: 1, max: 9, default: '3', env: ['TINY_COUNT'], short: 'c', description: 'a number' },
    { name: 'mode', type: 'choice', choices: ['good', 'crash', 'hang-drain', 'own-deadline', 'wait'], default: 'good', description: 'what goes wrong' },
    { name: 'names', type: 'list', description: 'some names' },
    { name: 'loud', type: 'bool', description: 'a switch' },
  ],
  start: async ({ options, log, lifecycle, readiness, admin }) => {
    const server = createServer();
    const { listen } = options;
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(listen.port, listen.host, resolve));
    lifecycle.add('listener', () => void server.close());
    if (options.mode === 'wait') readiness.waitFor('the moon');
    admin?.route({ method: 'POST', path: '/crash', description: 'throws later', handle: () => (setImmediate(() => { throw new Error('boom'); }), { body: 'soon\n' }) });
    log.info({ count: options.count, names: options.names, loud: options.loud, joinToken: 'hunter2', nested: { password: 'hunter2' } }, 'values');
    return {
      ports: { main: (server.address() as AddressInfo).port },
      ...(options.mode === 'own-deadline' && { drainTimeoutMs: 50 }),
      drain: async () => {
        log.info('drain called');
        if (options.mode === 'hang-drain' || options.mode === 'own-deadline') await new Promise(() => {});
      },
    };
  },
});
