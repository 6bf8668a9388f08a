/** One name in every spelling the code needs. */
export interface Names {
  /** rate-limit */
  readonly kebab: string;
  /** rateLimit */
  readonly camel: string;
  /** RateLimit */
  readonly pascal: string;
  /** rate_limit */
  readonly snake: string;
  /** rate limit */
  readonly words: string;
}

/** From kebab-case or PascalCase. Throws, saying how to write it, when the name is neither. */
export function names(text: string): Names {
  const kebab = /^[A-Z]/.test(text) ? text.replaceAll(/(?!^)([A-Z])/g, '-$1').toLowerCase() : text;
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(kebab) || kebab.length > 40) throw new Error(`"${text}" is not a name here: write it like rate-limit or RateLimit, at most 40 characters`);
  const pascal = kebab.split('-').map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join('');
  return { kebab, pascal, camel: pascal.charAt(0).toLowerCase() + pascal.slice(1), snake: kebab.replaceAll('-', '_'), words: kebab.replaceAll('-', ' ') };
}
