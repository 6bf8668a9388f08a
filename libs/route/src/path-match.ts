import { fail, ok, type Result } from '@meltemi/base';
import type { RouteMatch } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { UriTemplateMatchConfig } from '@meltemi/api/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match.ts';
import type { TypedExtensionConfig } from '@meltemi/api/gen/envoy/config/core/v3/extension.ts';
import { compileRegex, compileUriTemplate, type SafeRegex, type UriTemplate } from '@meltemi/match';

/** A compiled path_specifier over the path without query. */
export interface PathMatch {
  readonly kind: 'prefix' | 'exact' | 'separated' | 'regex' | 'connect';
  readonly describe: string;
  /** The literal (lower-case when case is ignored); "" for regex and connect. */
  readonly literal: string;
  readonly ignoreCase: boolean;
  readonly regex: SafeRegex | null;
  /** What the regex was made of, when it was a URI template. */
  readonly template?: UriTemplate;
}

/** Compiles the path part of a route's match. */
export function compilePathMatch(match: RouteMatch, path: string): Result<PathMatch> {
  const specifier = match.pathSpecifier;
  const ignoreCase = match.caseSensitive === false;
  const literalMatch = (kind: PathMatch['kind'], text: string, describe: string): Result<PathMatch> =>
    ok({ kind, describe: `${describe} ${text}`, literal: ignoreCase ? text.toLowerCase() : text, ignoreCase, regex: null });
  switch (specifier?.$case) {
    case 'prefix':
      return literalMatch('prefix', specifier.value, 'prefix');
    case 'path':
      return literalMatch('exact', specifier.value, 'exact');
    case 'pathSeparatedPrefix':
      if (!/^[^?#]+[^?#/]$/.test(specifier.value)) return fail(`${path}.path_separated_prefix`, 'must not be empty, hold "?" or "#", or end with "/"');
      return literalMatch('separated', specifier.value, 'path prefix');
    case 'safeRegex': {
      const regex = compileRegex(specifier.value.regex);
      if (!regex.ok) return fail(`${path}.safe_regex.regex`, regex.error);
      return ok({ kind: 'regex', describe: `regex ${specifier.value.regex}`, literal: '', ignoreCase: false, regex: regex.value });
    }
    case 'pathMatchPolicy':
      return templateMatch(specifier.value, `${path}.path_match_policy`);
    case 'connectMatcher':
      return ok({ kind: 'connect', describe: 'CONNECT', literal: '', ignoreCase: false, regex: null });
    default:
      return fail(path, 'a match needs prefix, path, path_separated_prefix, safe_regex, path_match_policy or connect_matcher');
  }
}

const templateUrl = 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig';

function templateMatch({ typedConfig: any }: TypedExtensionConfig, path: string): Result<PathMatch> {
  if (any?.typeUrl !== templateUrl) return fail(path, `${any?.typeUrl ?? 'nothing'} is not a path match of this proxy: there are URI templates`);
  const { pathTemplate } = UriTemplateMatchConfig.decode(any.value);
  const compiled = compileUriTemplate(pathTemplate, `${path}.typed_config.path_template`);
  if (!compiled.ok) return compiled;
  const template = compiled.value;
  return ok({ kind: 'regex', describe: `template ${pathTemplate}`, literal: '', ignoreCase: false, regex: { source: pathTemplate, engine: 're2', matchesAll: (value) => template.matches(value) }, template });
}

/** @hot */
export function pathMatches(match: PathMatch, path: string, method: string): boolean {
  if (match.kind === 'connect') return method === 'CONNECT';
  if (match.regex !== null) return match.regex.matchesAll(path);
  const subject = match.ignoreCase ? path.toLowerCase() : path;
  const literal = match.literal;
  if (match.kind === 'exact') return subject === literal;
  if (!subject.startsWith(literal)) return false;
  return match.kind === 'prefix' || subject.length === literal.length || subject.charCodeAt(literal.length) === 47;
}
