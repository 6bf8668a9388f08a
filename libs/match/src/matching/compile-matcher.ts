import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { Ip } from '@meltemi/api/gen/envoy/extensions/matching/input_matchers/ip/v3/ip.ts';
import type { TypedExtensionConfig } from '@meltemi/api/gen/xds/core/v3/extension.ts';
import { ServerNameMatcher } from '@meltemi/api/gen/xds/type/matcher/v3/domain.ts';
import { IPMatcher } from '@meltemi/api/gen/xds/type/matcher/v3/ip.ts';
import type { Matcher, Matcher_MatcherList_Predicate as PredicateMessage, Matcher_MatcherList_Predicate_SinglePredicate as SinglePredicate, Matcher_MatcherTree, Matcher_OnMatch } from '@meltemi/api/gen/xds/type/matcher/v3/matcher.ts';
import { compileCidr, compileCidrs } from '../ip.ts';
import { compileStringMatcher } from '../string-match.ts';
import type { StringMatch } from '../types.ts';
import { ActionLeaf, DomainTree, ExactTree, ListTree, PrefixTree, RangeTree, type MatchInput, type MatchTree, type Predicate, type RangeBranch } from './match-tree.ts';

const typePrefix = 'type.googleapis.com/';
/** How deep matchers and predicates may be nested, together. */
const maxDepth = 32;
/** Predicates and branches of one matcher. */
const maxNodes = 50_000;

/** What a use of matchers knows about: the inputs by message name, and what an action means there. */
export interface MatcherKind<View, Action> {
  readonly inputs: Readonly<Record<string, (config: Uint8Array, path: string) => Result<MatchInput<View>>>>;
  readonly action: (action: TypedExtensionConfig, path: string) => Result<Action>;
}

/**
 * Compiles a Matcher, or names everything in it that cannot be run. A branch that comes to no action counts as not matched: what follows it
 * is tried, then on_no_match. An action or input that throws is refused as not decodable. Source: the comments of xds/type/matcher/v3.
 */
export function compileMatcher<View, Action>(message: Matcher, path: string, kind: MatcherKind<View, Action>): Result<MatchTree<View, Action>> {
  const compiler = new MatcherCompiler(kind);
  const tree = compiler.matcher(message, path, 0);
  return compiler.errors.length > 0 || tree === null ? err(compiler.errors) : ok(tree);
}

class MatcherCompiler<View, Action> {
  readonly errors: FieldError[] = [];
  readonly #kind: MatcherKind<View, Action>;
  #nodes = 0;

  constructor(kind: MatcherKind<View, Action>) {
    this.#kind = kind;
  }

  matcher(message: Matcher, path: string, depth: number): MatchTree<View, Action> | null {
    if (!this.#enter(path, depth)) return null;
    const otherwise = message.onNoMatch === undefined ? null : this.#onMatch(message.onNoMatch, `${path}.on_no_match`, depth);
    const type = message.matcherType;
    if (type === undefined) return message.onNoMatch === undefined ? this.#refuse(path, 'needs matcher_list, matcher_tree or on_no_match') : otherwise;
    if (type.$case === 'matcherTree') return this.#tree(type.value, otherwise, `${path}.matcher_tree`, depth);
    const at = `${path}.matcher_list.matchers`;
    if (type.value.matchers.length === 0) return this.#refuse(at, 'needs at least one');
    const entries = type.value.matchers.flatMap(({ predicate, onMatch }, i) => {
      const holds = this.#predicate(predicate, `${at}[${i}].predicate`, depth + 1);
      const then = this.#onMatch(onMatch, `${at}[${i}].on_match`, depth);
      return holds === null || then === null ? [] : [{ holds, onMatch: then }];
    });
    return new ListTree(entries, otherwise);
  }

  #onMatch(message: Matcher_OnMatch | undefined, path: string, depth: number): MatchTree<View, Action> | null {
    const outcome = message?.onMatch;
    if (outcome === undefined) return this.#refuse(path, 'needs a matcher or an action');
    if (outcome.$case === 'matcher') return this.matcher(outcome.value, `${path}.matcher`, depth + 1);
    if (!this.#enter(path, depth)) return null;
    const action = this.#run(`${path}.action.typed_config`, () => this.#kind.action(outcome.value, `${path}.action`));
    return action === null ? null : new ActionLeaf(action);
  }

  #tree({ input, treeType: type }: Matcher_MatcherTree, otherwise: MatchTree<View, Action> | null, path: string, depth: number): MatchTree<View, Action> | null {
    const read = this.#input(input, `${path}.input`);
    if (type === undefined) return this.#refuse(path, 'needs exact_match_map, prefix_match_map or custom_match');
    if (type.$case === 'customMatch') return this.#customTree(type.value, read, otherwise, `${path}.custom_match`, depth);
    const at = `${path}.${type.$case === 'exactMatchMap' ? 'exact_match_map' : 'prefix_match_map'}.map`;
    const branches = new Map<string, MatchTree<View, Action>>();
    for (const [key, onMatch] of Object.entries(type.value.map)) {
      const then = this.#onMatch(onMatch, `${at}["${key}"]`, depth);
      if (then !== null) branches.set(key, then);
    }
    if (Object.keys(type.value.map).length === 0) return this.#refuse(at, 'needs at least one');
    if (read === null) return null;
    return type.$case === 'exactMatchMap' ? new ExactTree(read, otherwise, branches) : new PrefixTree(read, otherwise, branches);
  }

  #customTree({ typedConfig }: TypedExtensionConfig, read: MatchInput<View> | null, otherwise: MatchTree<View, Action> | null, path: string, depth: number): MatchTree<View, Action> | null {
    const name = nameOf(typedConfig?.typeUrl);
    const at = `${path}.typed_config`;
    if (typedConfig !== undefined && name === 'xds.type.matcher.v3.IPMatcher') {
      const ranges = this.#run(at, () => ok(IPMatcher.decode(typedConfig.value)));
      const branches = ranges && this.#ranges(ranges, `${at}.range_matchers`, depth);
      return read && branches && new RangeTree(read, otherwise, branches);
    }
    if (typedConfig !== undefined && name === 'xds.type.matcher.v3.ServerNameMatcher') {
      const domains = this.#run(at, () => ok(ServerNameMatcher.decode(typedConfig.value)));
      const branches = domains && this.#domains(domains, `${at}.domain_matchers`, depth);
      return read && branches && new DomainTree(read, otherwise, branches);
    }
    return this.#refuse(at, `"${name}" is not supported: use IPMatcher or ServerNameMatcher of xds.type.matcher.v3`);
  }

  #ranges({ rangeMatchers }: IPMatcher, path: string, depth: number): RangeBranch<View, Action>[] {
    return rangeMatchers.flatMap(({ ranges, onMatch, exclusive }, i) => {
      const then = this.#onMatch(onMatch, `${path}[${i}].on_match`, depth);
      if (ranges.length === 0) this.#refuse(`${path}[${i}].ranges`, 'needs at least one');
      return ranges.flatMap((range, k) => {
        const at = `${path}[${i}].ranges[${k}]`;
        const cidr = this.#enter(at, depth) ? this.#take(compileCidr(range, at)) : null;
        return cidr === null || then === null ? [] : [{ cidr, exclusive, onMatch: then }];
      });
    });
  }

  #domains({ domainMatchers }: ServerNameMatcher, path: string, depth: number): Map<string, MatchTree<View, Action>> {
    const branches = new Map<string, MatchTree<View, Action>>();
    for (const [i, { domains, onMatch }] of domainMatchers.entries()) {
      const then = this.#onMatch(onMatch, `${path}[${i}].on_match`, depth);
      if (domains.length === 0) this.#refuse(`${path}[${i}].domains`, 'needs at least one');
      for (const [k, domain] of domains.entries()) {
        const at = `${path}[${i}].domains[${k}]`;
        const key = domain === '*' ? '' : (domain.startsWith('*.') ? domain.slice(1) : domain).toLowerCase();
        if (!this.#enter(at, depth)) continue;
        if (domain === '' || domain === '*.' || key.includes('*')) this.#refuse(at, `"${domain}": a wildcard is "*", or "*." and a domain`);
        else if (branches.has(key)) this.#refuse(at, `"${domain}" is there twice`);
        else if (then !== null) branches.set(key, then);
      }
    }
    return branches;
  }

  #predicate(message: PredicateMessage | undefined, path: string, depth: number): Predicate<View> | null {
    if (!this.#enter(path, depth)) return null;
    const type = message?.matchType;
    switch (type?.$case) {
      case 'singlePredicate':
        return this.#single(type.value, `${path}.single_predicate`);
      case 'notMatcher': {
        const member = this.#predicate(type.value, `${path}.not_matcher`, depth + 1);
        return member && ((view) => !member(view));
      }
      case 'orMatcher': {
        const members = this.#members(type.value.predicate, `${path}.or_matcher.predicate`, depth);
        return (view) => {
          for (const member of members) if (member(view)) return true;
          return false;
        };
      }
      case 'andMatcher': {
        const members = this.#members(type.value.predicate, `${path}.and_matcher.predicate`, depth);
        return (view) => {
          for (const member of members) if (!member(view)) return false;
          return true;
        };
      }
      case undefined:
        return this.#refuse(path, 'needs single_predicate, or_matcher, and_matcher or not_matcher');
    }
  }

  #members(messages: readonly PredicateMessage[], path: string, depth: number): Predicate<View>[] {
    if (messages.length < 2) this.#refuse(path, 'needs at least two');
    return messages.flatMap((message, i) => this.#predicate(message, `${path}[${i}]`, depth + 1) ?? []);
  }

  #single({ input, matcher }: SinglePredicate, path: string): Predicate<View> | null {
    const read = this.#input(input, `${path}.input`);
    if (matcher === undefined) return this.#refuse(path, 'needs value_match or custom_match');
    const test = matcher.$case === 'valueMatch' ? this.#take(compileStringMatcher(matcher.value, `${path}.value_match`)) : this.#custom(matcher.value, `${path}.custom_match.typed_config`);
    if (read === null || test === null) return null;
    return (view) => {
      const value = read(view);
      return value !== null && test.matches(value);
    };
  }

  #custom({ typedConfig }: TypedExtensionConfig, path: string): StringMatch | null {
    const name = nameOf(typedConfig?.typeUrl);
    if (typedConfig === undefined || name !== 'envoy.extensions.matching.input_matchers.ip.v3.Ip') return this.#refuse(path, `"${name}" is not supported: use value_match, or envoy.extensions.matching.input_matchers.ip.v3.Ip`);
    const message = this.#run(path, () => ok(Ip.decode(typedConfig.value)));
    if (message === null) return null;
    const { cidrRanges } = message;
    if (cidrRanges.length === 0) return this.#refuse(`${path}.cidr_ranges`, 'needs at least one');
    const set = this.#take(compileCidrs(cidrRanges, `${path}.cidr_ranges`));
    return set && { matches: (value) => set.contains(value) };
  }

  #input(config: TypedExtensionConfig | undefined, path: string): MatchInput<View> | null {
    const name = nameOf(config?.typedConfig?.typeUrl);
    const compile = Object.hasOwn(this.#kind.inputs, name) ? this.#kind.inputs[name] : undefined;
    if (compile === undefined) return this.#refuse(`${path}.typed_config`, `the input "${name}" is not supported here: use one of ${Object.keys(this.#kind.inputs).map((known) => known.replace(/.*\./, '')).join(', ')}`);
    return this.#run(`${path}.typed_config`, () => compile(config?.typedConfig?.value ?? new Uint8Array(), `${path}.typed_config`));
  }

  /** False, and said, when the matcher is too large. */
  #enter(path: string, depth: number): boolean {
    if (depth > maxDepth) return this.#refuse(path, `matchers are nested deeper than ${maxDepth}`) !== null;
    if (++this.#nodes === maxNodes + 1) this.#refuse(path, `a matcher may have ${maxNodes} predicates and branches`);
    return this.#nodes <= maxNodes;
  }

  #refuse(path: string, message: string): null {
    this.errors.push({ path, message });
    return null;
  }

  /** Reads an extension, whose bytes may be none of its message. */
  #run<T>(path: string, read: () => Result<T>): T | null {
    try {
      return this.#take(read());
    } catch (error) {
      return this.#refuse(path, `cannot be decoded: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #take<T>(result: Result<T>): T | null {
    if (result.ok) return result.value;
    this.errors.push(...result.error);
    return null;
  }
}

function nameOf(typeUrl: string | undefined): string {
  return typeUrl?.startsWith(typePrefix) === true ? typeUrl.slice(typePrefix.length) : (typeUrl ?? '');
}
