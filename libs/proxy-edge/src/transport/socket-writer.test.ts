import assert from 'node:assert/strict';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { waitFor } from '@meltemi/base';
import { socketWriter, StreamWriter, type SocketWriterOwner } from './socket-writer.ts';

/** A client's socket and its peer's. */
async function pair(t: TestContext): Promise<{ ours: net.Socket; theirs: net.Socket }> {
  const server = net.createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  const ours = net.connect(port, '127.0.0.1');
  ours.on('error', () => {});
  await new Promise((resolve) => ours.once('connect', resolve));
  const theirs = await accepted;
  theirs.on('error', () => {});
  t.after(() => {
    ours.destroy();
    theirs.destroy();
    server.close();
  });
  return { ours, theirs };
}

const told = () => {
  const errors: Error[] = [];
  const owner = { sent: 0, errors, onSent: () => void (owner.sent += 1), onWriteError: (error: Error) => void errors.push(error) };
  return owner satisfies SocketWriterOwner;
};

for (const direct of [true, false]) {
  const how = direct ? 'past the streams' : 'through the streams';

  test(`${how}: texts and parts arrive in order, whole, also when the peer stalls`, async (t) => {
    const { ours, theirs } = await pair(t);
    const owner = told();
    const writer = direct ? socketWriter(ours, owner) : new StreamWriter(ours, owner);
    const part = Buffer.alloc(200_000, 'p');
    let expected = '';
    for (let i = 0; i < 60; i++) {
      writer.text(`text ${i};`);
      writer.bytes(part, 0, i % 3 === 0 ? 200_000 : 30_000);
      expected += `text ${i};${'p'.repeat(i % 3 === 0 ? 200_000 : 30_000)}`;
    }
    // Parts are copied: what the caller does with its buffer afterwards changes nothing.
    part.fill('x');
    assert.ok(writer.queued > 0, 'the peer does not read');
    let got = '';
    theirs.setEncoding('latin1').on('data', (text: string) => (got += text));
    theirs.resume();
    writer.flush();
    await waitFor('everything to be sent', () => writer.queued === 0 && got.length === expected.length);
    assert.ok(got === expected);
    assert.ok(owner.sent > 0);
  });

  test(`${how}: nothing written is nothing sent`, async (t) => {
    const { ours, theirs } = await pair(t);
    const owner = told();
    const writer = direct ? socketWriter(ours, owner) : new StreamWriter(ours, owner);
    let got = '';
    theirs.setEncoding('latin1').on('data', (text: string) => (got += text));
    theirs.resume();
    for (const part of ['', 'x', '']) {
      writer.text(part);
      writer.bytes(Buffer.alloc(0), 0, 0);
      writer.flush();
    }
    await waitFor('the text', () => got === 'x' && writer.queued === 0);
    assert.ok(owner.sent <= 1, `told ${owner.sent} times`);
    assert.equal(ours.bytesWritten, 1);
  });

  test(`${how}: a peer that is gone is an error told, never thrown`, async (t) => {
    const { ours, theirs } = await pair(t);
    const owner = told();
    const writer = direct ? socketWriter(ours, owner) : new StreamWriter(ours, owner);
    ours.on('error', (error) => owner.errors.push(error));
    theirs.resetAndDestroy();
    await waitFor('the error', () => {
      if (!ours.destroyed) writer.text('more');
      writer.flush();
      return owner.errors.length > 0 || ours.destroyed;
    });
  });
}
