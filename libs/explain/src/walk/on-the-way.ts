import type { CapturedConnectionInfo } from '@meltemi/proxy';
import type { Listener } from '@meltemi/snapshot';
import type { Step } from '../answer.ts';
import type { Call } from '../question.ts';
import type { ProxyView } from '../view.ts';

/** Where a call is on its way. */
export interface OnTheWay {
  readonly view: ProxyView;
  readonly call: Call;
  readonly listener: Listener;
  readonly connection: CapturedConnectionInfo;
  readonly steps: Step[];
  readonly nowMs: number;
}
