import { runWorker } from '@meltemi/proxy-edge';

await runWorker();
