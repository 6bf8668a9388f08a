import { seededRandom } from '@meltemi/base';

/** Pieces that paths are confused with. */
const atoms = ['/', '/', '/', '//', '.', '..', '%2e', '%2E', '%2f', '%2F', '%5c', '\\', 'admin', 'admin', '%61dmin', 'adm%69n', 'ADMIN', ';x', '%zz', '%25', '%252f', '%252e', 'x', '~', '%7e', '?', '?a=/../admin', '%c0%ae', '%3b', '"', '%20', ':', '@', '%41'];

/** Paths put together from such pieces; the same seed gives the same ones. */
export function drawnPaths(seed: number, count: number): string[] {
  const random = seededRandom(seed);
  const pick = () => atoms[Math.floor(random.next() * atoms.length)] ?? '/';
  return Array.from({ length: count }, () => `/${Array.from({ length: 1 + Math.floor(random.next() * 7) }, pick).join('')}`);
}
