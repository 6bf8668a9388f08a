import { Module } from '@meltemi/api/gen/meltemi/filters/http/module/v1/module.ts';
import { fail, ok, type FieldError, type Result } from '@meltemi/base';
import type { HttpFilterExtension, ParseContext } from '@meltemi/snapshot';
import type { FilterContext, HttpFilterConfig, HttpFilterFactory } from '../../../filter.ts';

/** Settings as the config gives them: JSON. */
export type ModuleSettings = Readonly<Record<string, unknown>>;

/** Where the settings stand, and how to say that one of them is not acted on. */
export interface ModuleParseContext {
  warn(path: string, message: string): void;
}

/**
 * What a user's module exports: the cold part of a filter, as HttpFilterFactory but for its settings, which are JSON. Paths in errors are
 * relative to the settings; an exception refuses the config like a failed Result.
 */
export interface HttpFilterModule {
  readonly name: string;
  /** Checks the settings once and makes of them what `bind` gets; without it `bind` gets the settings. */
  parse?(settings: ModuleSettings, ctx: ModuleParseContext): Result<unknown>;
  /** The same for a route's settings, which `stream.perRoute(filterName)` then gives; without it a route takes none. */
  parseRoute?(settings: ModuleSettings, ctx: ModuleParseContext): Result<unknown>;
  bind(config: unknown, ctx: FilterContext): HttpFilterConfig;
}

/** Which export of which module a config means. */
export interface ModuleRef {
  readonly module: string;
  readonly exportName: string;
}

/** Finds and evaluates a module, or says why not; the path of its errors is "". */
export type ModuleLoad = (ref: ModuleRef) => Result<unknown>;

/** The type that names a user's module. */
export const moduleTypeUrl = 'type.googleapis.com/meltemi.filters.http.module.v1.Module';

interface ModuleConfig {
  readonly module: HttpFilterModule;
  readonly config: unknown;
}

/** A filter that the proxy's user wrote. Its own half of the work is in `bind`; who compiles configs brings a loader with `moduleExtension`. */
export const moduleFilter: HttpFilterFactory = {
  name: 'meltemi.filters.http.module',
  typeUrls: [moduleTypeUrl],
  stage: 'traffic',
  trust: 'untrusted-downstream-and-upstream',
  ...moduleExtension(() => fail('', 'this proxy loads no modules: name the folder they may come from with --allow-filters-from')),
  bind(config, ctx) {
    const { module, config: own } = config as ModuleConfig;
    const bound: Partial<HttpFilterConfig> | null | undefined = module.bind(own, ctx);
    if (typeof bound?.events !== 'number' || typeof bound.create !== 'function') throw new Error(`HTTP filter ${ctx.filterName}: bind of module ${module.name} must return { events, create }`);
    return bound as HttpFilterConfig;
  },
};

/** The parsers of Module, with this way to load one. */
export function moduleExtension(load: ModuleLoad): Required<Pick<HttpFilterExtension, 'parse' | 'parseRoute'>> {
  return {
    parse(bytes, ctx) {
      const found = take(bytes, ctx, load);
      if (!found.ok) return found;
      const { module, settings } = found.value;
      const config = module.parse === undefined ? ok(settings) : run((own) => module.parse?.(settings, own), ctx);
      return config.ok ? ok({ module, config: config.value } satisfies ModuleConfig) : config;
    },
    parseRoute(bytes, ctx) {
      const found = take(bytes, ctx, load);
      if (!found.ok) return found;
      const { module, settings } = found.value;
      if (module.parseRoute === undefined) return fail(ctx.path, `${module.name} takes no settings per route: it has no parseRoute`);
      return run((own) => module.parseRoute?.(settings, own), ctx);
    },
  };
}

function take(bytes: Uint8Array, ctx: ParseContext, load: ModuleLoad): Result<{ module: HttpFilterModule; settings: ModuleSettings }> {
  const message = Module.decode(bytes);
  if (message.module === '') return fail(`${ctx.path}.module`, 'is required: a path or a package name');
  const exportName = message.exportName || 'default';
  const loaded = load({ module: message.module, exportName });
  if (!loaded.ok) return { ok: false, error: loaded.error.map(({ message: reason }) => ({ path: `${ctx.path}.module`, message: `${message.module}: ${reason}` })) };
  const reason = notAFilter(loaded.value);
  if (reason !== null) return fail(`${ctx.path}.export_name`, `export "${exportName}" of ${message.module} ${reason}`);
  return ok({ module: loaded.value as HttpFilterModule, settings: (message.config ?? {}) as ModuleSettings });
}

function notAFilter(value: unknown): string | null {
  if (value === undefined) return 'does not exist';
  const module = value as Partial<Record<keyof HttpFilterModule, unknown>> | null;
  if (typeof module !== 'object' || module === null) return 'is no filter: export an object with name and bind';
  if (typeof module.name !== 'string' || module.name === '') return 'is no filter: it has no name';
  if (typeof module.bind !== 'function') return 'is no filter: it has no bind';
  for (const method of ['parse', 'parseRoute'] as const) if (module[method] !== undefined && typeof module[method] !== 'function') return `has a ${method} that is no function`;
  return null;
}

/** Runs a user's parser: what it throws or returns amiss refuses the config. */
function run(parse: (ctx: ModuleParseContext) => Result<unknown> | undefined, outer: ParseContext): Result<unknown> {
  const { path } = outer;
  const at = (own: string) => `${path}.config${own === '' || own.startsWith('[') ? own : `.${own}`}`;
  try {
    const result: unknown = parse({ warn: (own, message) => outer.warn(at(own), message) });
    if (isOk(result)) return ok(result.value);
    if (isFailure(result)) return { ok: false, error: result.error.map((error) => ({ path: at(String(error.path)), message: String(error.message) })) };
    return fail(`${path}.config`, 'its parser must return ok(value) or fail(path, message)');
  } catch (cause) {
    return fail(`${path}.config`, `its parser threw: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

function isOk(result: unknown): result is { readonly value: unknown } {
  return typeof result === 'object' && result !== null && (result as { ok?: unknown }).ok === true;
}

function isFailure(result: unknown): result is { readonly error: readonly FieldError[] } {
  return typeof result === 'object' && result !== null && (result as { ok?: unknown }).ok === false && Array.isArray((result as { error?: unknown }).error);
}
