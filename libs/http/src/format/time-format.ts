const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];

type Part = (date: Date, ms: number) => string;

const two = (value: number): string => String(value).padStart(2, '0');
const hour12 = (date: Date): number => date.getUTCHours() % 12 || 12;
const dayOfYear = (date: Date): number => Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1;

const parts: Readonly<Record<string, Part>> = {
  Y: (d) => String(d.getUTCFullYear()), y: (d) => two(d.getUTCFullYear() % 100), m: (d) => two(d.getUTCMonth() + 1), d: (d) => two(d.getUTCDate()),
  e: (d) => String(d.getUTCDate()).padStart(2, ' '), H: (d) => two(d.getUTCHours()), I: (d) => two(hour12(d)), M: (d) => two(d.getUTCMinutes()),
  S: (d) => two(d.getUTCSeconds()), p: (d) => (d.getUTCHours() < 12 ? 'AM' : 'PM'), s: (_d, ms) => String(Math.floor(ms / 1000)),
  j: (d) => String(dayOfYear(d)).padStart(3, '0'), a: (d) => (days[d.getUTCDay()] ?? '').slice(0, 3), A: (d) => days[d.getUTCDay()] ?? '',
  b: (d) => (months[d.getUTCMonth()] ?? '').slice(0, 3), h: (d) => (months[d.getUTCMonth()] ?? '').slice(0, 3), B: (d) => months[d.getUTCMonth()] ?? '',
  u: (d) => String(d.getUTCDay() || 7), w: (d) => String(d.getUTCDay()), z: () => '+0000', Z: () => 'UTC', n: () => '\n', t: () => '\t', '%': () => '%',
  F: (d) => `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}`,
  D: (d) => `${two(d.getUTCMonth() + 1)}/${two(d.getUTCDate())}/${two(d.getUTCFullYear() % 100)}`,
  T: (d) => `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`,
  R: (d) => `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`,
  f: (_d, ms) => fraction(ms, 9),
};

/**
 * Compiles a strftime pattern with Envoy's extensions (%f, %1f–%9f sub-second digits, %3s/%6s/%9s epoch with precision, %E<n>S and %E*S seconds with
 * fraction, %Ez offset) over UTC, or over the time of this machine. A string is the reason why not.
 */
export function compileTimeFormat(pattern: string, zone: 'utc' | 'local' = 'utc'): ((ms: number) => string) | string {
  const compiled: (string | Part)[] = [];
  const local = zone === 'local';
  const token = /%(?:E([0-9*])S|(E)z|([1-9])f|([369])s|([A-Za-z%]))|([^%]+)|(%)/gy;
  for (const match of pattern.matchAll(token)) {
    const [, seconds, offset, digits, epoch, letter, literal] = match;
    if (literal !== undefined) compiled.push(literal);
    else if (seconds !== undefined) compiled.push((d, ms) => secondsWith(d, ms, seconds === '*' ? 3 : Number(seconds)));
    else if (offset !== undefined) compiled.push(local ? (_d, ms) => offsetOf(ms, ':') : '+00:00');
    else if (local && letter === 'z') compiled.push((_d, ms) => offsetOf(ms, ''));
    else if (local && letter === 'Z') compiled.push((_d, ms) => zoneName(ms));
    else if (digits !== undefined) compiled.push((_d, ms) => fraction(ms, Number(digits)));
    else if (epoch !== undefined) compiled.push((_d, ms) => String(Math.floor(ms / 1000)) + fraction(ms, Number(epoch)));
    else {
      const part = letter === undefined ? undefined : parts[letter];
      if (!part) return `time format "${pattern}" has an unknown specifier ${match[0]}`;
      compiled.push(part);
    }
  }
  return (ms) => {
    // Parts read a date's UTC fields: of local time it is shifted to.
    const date = new Date(local ? ms - new Date(ms).getTimezoneOffset() * 60_000 : ms);
    let out = '';
    for (const part of compiled) out += typeof part === 'string' ? part : part(date, ms);
    return out;
  };
}

function offsetOf(ms: number, between: string): string {
  const minutes = -new Date(ms).getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${between}${two(size % 60)}`;
}

function zoneName(ms: number): string {
  return new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(ms).find(({ type }) => type === 'timeZoneName')?.value ?? '';
}

/** Sub-second digits. Clocks give milliseconds (or fractions of them), the rest is zero. */
function fraction(ms: number, digits: number): string {
  const nanos = Math.floor((((ms % 1000) + 1000) % 1000) * 1e6);
  return String(nanos).padStart(9, '0').slice(0, digits);
}

function secondsWith(date: Date, ms: number, digits: number): string {
  return digits === 0 ? two(date.getUTCSeconds()) : `${two(date.getUTCSeconds())}.${fraction(ms, digits)}`;
}

let cachedSecond = Number.NaN;
let cachedPrefix = '';

/** "2026-03-01T12:00:00.123Z", the second's part built once per second. @hot */
export function isoTime(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== cachedSecond) {
    cachedPrefix = new Date(second * 1000).toISOString().slice(0, -4);
    cachedSecond = second;
  }
  const rest = Math.floor(ms - second * 1000);
  return `${cachedPrefix}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`;
}
