import { installation, needCluster } from './installation.ts';
import type { MessageFacts } from './message-type.ts';
import { traffic } from './traffic.ts';
import { workloads } from './workloads.ts';

/** Every message an analyzer can report. */
export const messages = { ...installation, ...traffic, ...workloads };

const neverRaised = Object.values(needCluster);

/** All of Istio's message types by code, and whether an analyzer here raises them. */
export const messageTypes: readonly (MessageFacts & { readonly raised: boolean })[] = [
  ...Object.values(messages).map(({ code, name, level, about }) => ({ code, name, level, about, raised: true })),
  ...neverRaised.map(({ code, name, level, about }) => ({ code, name, level, about, raised: false })),
].sort((a, b) => (a.code < b.code ? -1 : 1));
