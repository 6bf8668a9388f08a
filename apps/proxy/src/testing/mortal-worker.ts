import { workerData } from 'node:worker_threads';
import { runWorker } from '@meltemi/proxy-edge';

/** A worker that does to itself what a test asks for: 'exit', 'throw' or 'hang'. */
const channel = new BroadcastChannel(mortalChannel());
channel.onmessage = ({ data }: { data: unknown }) => {
  const { worker, deed } = data as { worker: number; deed: string };
  if (worker !== (workerData as { index: number }).index) return;
  if (deed === 'exit') process.exit(7);
  if (deed === 'throw') throw new Error('a bug outside of every stream');
  for (;;);
};
(channel as unknown as { unref(): void }).unref();
await runWorker();

/** One per process: test files run side by side. */
function mortalChannel(): string {
  return `mortal-${process.pid}`;
}
