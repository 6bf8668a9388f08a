import type { StreamInfo } from '@meltemi/http';

/** What conditions of one sort look at: the path, a header, the names in a certificate. */
export interface Dimension {
  /** The same for all conditions that look at the same values. */
  readonly id: string;
  /** Writes what this request has to `into`, from 0 on; says how many there are. */
  read(info: StreamInfo, into: string[]): number;
}

/** How a value is compared: "pair" = it holds these two segments, one after the other; "range" = the address is in the range. */
export type Comparison = 'exact' | 'prefix' | 'suffix' | 'pair' | 'range';

/** A simple condition over one dimension that can be looked up. */
export interface Atom {
  readonly dimension: Dimension;
  readonly comparison: Comparison;
  /** A text; of a range its key (range-table.ts). */
  readonly value: string;
}

/** How an index finds a rule. */
export interface Needs {
  /** What must hold for the rule to match, though it may not suffice: of each alternative at least one atom. None = the rule must be tried. */
  readonly alternatives: readonly (readonly Atom[])[];
  /** The one of them that suffices: the rule matches just when one of its atoms holds. */
  readonly enough: readonly Atom[] | null;
}

export const noNeeds: Needs = { alternatives: [], enough: null };

/** Alternatives with more atoms than this are not kept: every atom costs an entry of an index. */
const maxAtoms = 20_000;

export function needOf(atom: Atom | null): Needs {
  if (atom === null) return noNeeds;
  const atoms = [atom];
  return { alternatives: [atoms], enough: atoms };
}

/** A value that must be there beside what cannot be looked up. */
export function insufficient({ alternatives }: Needs): Needs {
  return { alternatives, enough: null };
}

/** Of two or more rules that must all match. */
export function needsOfAll(members: readonly Needs[]): Needs {
  return { alternatives: members.flatMap(({ alternatives }) => alternatives), enough: null };
}

/** Of rules of which one must match: an alternative for each dimension that all members look at; else one with the best of each. */
export function needsOfAny(members: readonly Needs[]): Needs {
  if (members.length === 0 || members.some(({ alternatives }) => alternatives.length === 0)) return noNeeds;
  const byDimension = members.map(smallestByDimension);
  const enough = members.every((needs) => needs.enough !== null) ? members.flatMap((needs) => needs.enough ?? []) : null;
  if (enough !== null && enough.length <= maxAtoms) return { alternatives: [enough], enough };
  const common = [...(byDimension[0]?.keys() ?? [])].filter((id) => byDimension.every((one) => one.has(id)));
  const joined = common.map((id) => byDimension.flatMap((one) => one.get(id) ?? []));
  const alternatives = joined.length > 0 ? joined : [members.flatMap(smallest)];
  return { alternatives: alternatives.filter((atoms) => atoms.length <= maxAtoms), enough: null };
}

/** The alternatives that look at one dimension only; of several over the same the one with the fewest atoms. */
function smallestByDimension({ alternatives }: Needs): Map<string, readonly Atom[]> {
  const found = new Map<string, readonly Atom[]>();
  for (const atoms of alternatives) {
    const id = atoms[0]?.dimension.id ?? '';
    const known = found.get(id);
    if (atoms.every(({ dimension }) => dimension.id === id) && (known === undefined || atoms.length < known.length)) found.set(id, atoms);
  }
  return found;
}

function smallest({ alternatives }: Needs): readonly Atom[] {
  return alternatives.reduce((best, atoms) => (atoms.length < best.length ? atoms : best), alternatives[0] ?? []);
}
