/** How the program drains before it ends. */
export interface ProgramDrain {
  /** It ends then, whatever is under way. */
  readonly deadlineMs: number;
  /** A sidecar lasts so long even when idle: Istio's MINIMUM_DRAIN_DURATION. Default 0. */
  readonly minimumMs?: number;
  /** A sidecar ends when for so long no connection was open or came. Default 0. */
  readonly quietMs?: number;
}

/** What is looked at while waiting for quiet. */
export interface Activity {
  /** Connections open now. */
  readonly active: number;
  /** Connections accepted so far. */
  readonly accepted: number;
}

const lookEveryMs = 25;

/**
 * A sidecar's outbound listeners outlast its inbound ones: the application still needs them for what it has to finish. Istio's node types say
 * what a proxy is (a gateway's front door is marked outbound, too); any other node that has inbound listeners stands beside an application.
 */
export function isSidecar(nodeId: string, hasInbound: boolean): boolean {
  const type = /^(sidecar|router|waypoint|ztunnel)~/.exec(nodeId)?.[1];
  return type === undefined ? hasInbound : type === 'sidecar';
}

/** Resolves when there was no activity for `quietMs`, not before `minimumMs`, at the latest after `deadlineMs`. */
export async function untilQuiet(look: () => Activity, { deadlineMs, minimumMs = 0, quietMs = 0 }: ProgramDrain): Promise<void> {
  const began = performance.now();
  let busyMs = began;
  let accepted = -1;
  for (;;) {
    const now = performance.now();
    const seen = look();
    if (accepted === -1) accepted = seen.accepted;
    if (seen.active > 0 || seen.accepted !== accepted) busyMs = now;
    accepted = seen.accepted;
    if (now - began >= deadlineMs) return;
    if (seen.active === 0 && now - busyMs >= quietMs && now - began >= minimumMs) return;
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}
