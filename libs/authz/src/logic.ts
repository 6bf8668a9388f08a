import type { StreamInfo } from '@meltemi/http';
import { needsOfAll, noNeeds, type Atom, type Needs } from './indexed/need.ts';

/** A compiled permission or principal. @hot */
export interface Rule {
  matches(info: StreamInfo): boolean;
  /** By which an index finds it. */
  readonly needs: Needs;
  /** Of a rule that is the conjunction of others: these. */
  readonly members?: readonly Rule[];
}

export const anyRule: Rule = { matches: () => true, needs: noNeeds };

export function allOf(rules: readonly Rule[]): Rule {
  const members = rules.filter((rule) => rule !== anyRule);
  const [only = anyRule] = members;
  if (members.length < 2) return only;
  return {
    matches: (info) => {
      for (const rule of members) if (!rule.matches(info)) return false;
      return true;
    },
    needs: needsOfAll(members.map(({ needs }) => needs)),
    members,
  };
}

export function not(rule: Rule): Rule {
  return { matches: (info) => !rule.matches(info), needs: noNeeds };
}

/** What is left to be shown when one of `atoms`, an alternative of the rule's needs, is known to hold. */
export function remainder(rule: Rule, atoms: readonly Atom[]): Rule {
  if (rule.needs.enough === atoms) return anyRule;
  return rule.members === undefined ? rule : allOf(rule.members.map((member) => remainder(member, atoms)));
}
