import type { RequestHead } from '@meltemi/http';

/** Redirects that a request has followed inside the proxy; passes from one stream to the next. */
export interface RedirectTrail {
  readonly count: number;
  /** "from\nto" for each pair of routes. */
  readonly followed: readonly string[];
}

/** The request that stands in for one that an upstream redirected. */
export interface Redirected {
  readonly request: RequestHead;
  /** Of the new request. */
  readonly trail: RedirectTrail;
  /** A 303 makes a GET without a body. */
  readonly keepsBody: boolean;
}
