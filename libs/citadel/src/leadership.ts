/** One time of leading. */
export interface LeaderTerm {
  /** Aborts before anybody else can lead; the reason says why. */
  readonly lost: AbortSignal;
  /** What the keystore checks when it saves, so that a leader that was cut off and does not know it yet writes nothing. Opaque. */
  readonly fence: string;
}

/** Which of several citadels over one keystore changes the authority: renews the issuing CA, rotates the root. All of them sign. */
export interface Leadership {
  /** Undefined while another leads, or nobody. */
  term(): LeaderTerm | undefined;
  /** Resolves as soon as this citadel leads; rejects when `signal` aborts. It stands for election from its start on, whether or not somebody waits. */
  acquire(signal: AbortSignal): Promise<LeaderTerm>;
  /** Gives it up, so that another can lead at once. */
  stop(): Promise<void>;
}

/** For a keystore that one citadel owns. */
export function alwaysLeader(): Leadership {
  const ended = new AbortController();
  const term: LeaderTerm = { lost: ended.signal, fence: '' };
  return {
    term: () => (ended.signal.aborted ? undefined : term),
    acquire: async () => {
      ended.signal.throwIfAborted();
      return term;
    },
    stop: async () => ended.abort(new Error('citadel stops')),
  };
}
