import type { HeaderMap } from '@meltemi/http';

/** Says that this proxy was on the way: at the end of the one list that via is. */
export function appendVia(headers: HeaderMap, via: string): void {
  const before = headers.getAll('via');
  headers.set('via', before === null || before === '' ? via : `${before}, ${via}`);
}
