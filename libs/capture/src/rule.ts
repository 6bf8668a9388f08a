/** One packet filter rule, in no program's words. */
export interface Rule {
  readonly table: Table;
  readonly chain: string;
  /** Unset: for both families. */
  readonly family?: Family;
  readonly when: Match;
  readonly action: Action;
  /** What it is for, in a few words; kept with the rule where it is installed. */
  readonly why: string;
}

export type Table = 'raw' | 'mangle' | 'nat';
export type Family = 'v4' | 'v6';

/** All given ones must hold. */
export interface Match {
  readonly protocol?: 'tcp' | 'udp';
  readonly toPort?: number;
  /** None of these. */
  readonly notToPorts?: readonly number[];
  readonly fromPort?: number;
  readonly from?: string;
  readonly to?: string;
  readonly notTo?: string;
  readonly inInterface?: string;
  readonly outInterface?: string;
  readonly uid?: string;
  readonly notUid?: string;
  readonly gid?: string;
  readonly notGid?: string;
  readonly mark?: number;
  readonly notMark?: number;
  readonly connectionMark?: number;
  /** Of conntrack, in lower case. */
  readonly states?: readonly ('related' | 'established' | 'invalid')[];
}

export type Action =
  | { readonly kind: 'return' }
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'jump'; readonly chain: string }
  | { readonly kind: 'redirect'; readonly port: number }
  | { readonly kind: 'tproxy'; readonly port: number; readonly mark: number }
  | { readonly kind: 'set-mark'; readonly mark: number }
  | { readonly kind: 'zone'; readonly zone: number }
  | { readonly kind: 'save-mark' }
  | { readonly kind: 'restore-mark' };

/** Where packets come in: `from` is the kernel's hook, `chain` ours. */
export interface Hook {
  readonly table: Table;
  readonly from: 'PREROUTING' | 'OUTPUT';
  readonly chain: string;
}

/** Routes and addresses that rules alone do not make. */
export interface RouteStep {
  /** Arguments of `ip`. */
  readonly add: readonly string[];
  readonly remove: readonly string[];
}
