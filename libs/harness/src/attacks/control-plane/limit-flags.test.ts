import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { MeshProcess } from '../../process.ts';
import { programCommand, type ProgramName } from '../../programs.ts';

const programs: readonly (readonly [name: ProgramName, port: string, ...flags: string[]])[] = [
  ['citadel', 'grpc', '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--state-dir', 'state'],
  ['pilot', 'xds-plaintext', '--plaintext-listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--state-dir', 'state', '--config-dir', 'config'],
  ['telemetry', 'als-insecure', '--insecure-listen', '127.0.0.1:0', '--http-listen', '127.0.0.1:0'],
];

for (const [name, port, ...flags] of programs) {
  test(`${name} keeps to the connections that its flags allow one address, and all`, async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'limits-'));
    const sockets: Socket[] = [];
    mkdirSync(join(dir, 'config'));
    const [file, ...args] = programCommand(name, 'source');
    const portsFile = join(dir, 'ports.json');
    const inDir = flags.map((flag) => (flag === 'state' || flag === 'config' ? join(dir, flag) : flag));
    const program = new MeshProcess({ name, command: [file, ...args, ...inDir, '--ports-file', portsFile, '--max-connections-per-address', '2', '--max-connections', '3'], logFile: join(dir, 'log'), portsFile });
    t.after(async () => {
      for (const socket of sockets) socket.destroy();
      await program.kill();
      rmSync(dir, { recursive: true, force: true });
    });
    await program.start();
    const open = (localAddress: string, count: number) => Array.from({ length: count }, () => {
      const socket = connect({ host: '127.0.0.1', port: program.ports()[port] ?? 0, localAddress }).on('error', () => undefined);
      sockets.push(socket);
      return socket;
    });
    const closed = (of: readonly Socket[]) => of.filter((socket) => socket.destroyed || socket.readableEnded).length;
    const one = open('127.0.0.8', 4);
    for (const socket of one) socket.resume();
    await waitFor('two of four to be closed', () => closed(one) === 2);
    const others = open('127.0.0.9', 2);
    for (const socket of others) socket.resume();
    await waitFor('one of two others to be closed', () => closed(others) === 1);
    assert.equal(closed(one), 2);
  });
}
