import { list, object, strings } from '../../schema/containers.ts';
import { bool, int, oneOf, string } from '../../schema/scalars.ts';
import { optional, required, withDefault } from '../../schema/schema.ts';
import { backendObjectReference, localObjectReference, type BackendObjectReference, type LocalObjectReference } from './references.ts';

export interface HttpHeader {
  readonly name: string;
  readonly value: string;
}

export interface HeaderModifier {
  readonly set: readonly HttpHeader[];
  readonly add: readonly HttpHeader[];
  readonly remove: readonly string[];
}

/** Exactly the field that `type` names is set. */
export interface PathModifier {
  readonly type: 'ReplaceFullPath' | 'ReplacePrefixMatch';
  readonly replaceFullPath?: string;
  readonly replacePrefixMatch?: string;
}

export interface RequestRedirect {
  readonly scheme?: 'http' | 'https';
  readonly hostname?: string;
  readonly path?: PathModifier;
  readonly port?: number;
  readonly statusCode: number;
}

export interface UrlRewrite {
  readonly hostname?: string;
  readonly path?: PathModifier;
}

export interface RequestMirror {
  readonly backendRef: BackendObjectReference;
  readonly percent?: number;
  readonly fraction?: { readonly numerator: number; readonly denominator: number };
}

export interface CorsFilter {
  readonly allowOrigins: readonly string[];
  readonly allowCredentials?: boolean;
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  /** Seconds. */
  readonly maxAge: number;
}

/** Exactly the field that `type` names is set. */
export interface HttpRouteFilter {
  readonly type: HttpFilterType;
  readonly requestHeaderModifier?: HeaderModifier;
  readonly responseHeaderModifier?: HeaderModifier;
  readonly requestMirror?: RequestMirror;
  readonly requestRedirect?: RequestRedirect;
  readonly urlRewrite?: UrlRewrite;
  readonly cors?: CorsFilter;
  readonly extensionRef?: LocalObjectReference;
  readonly externalAuth?: ExternalAuth;
}

/** Checked, then refused by name: Istio does not do it either. */
export interface ExternalAuth {
  readonly protocol: 'HTTP' | 'GRPC';
  readonly backendRef: BackendObjectReference;
  readonly grpc?: { readonly allowedHeaders: readonly string[] };
  readonly http?: { readonly path: string; readonly allowedHeaders: readonly string[]; readonly allowedResponseHeaders: readonly string[] };
  readonly forwardBody?: { readonly maxSize: number };
}

const httpFilterTypes = ['RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestMirror', 'RequestRedirect', 'URLRewrite', 'ExtensionRef', 'CORS', 'ExternalAuth'] as const;
export type HttpFilterType = (typeof httpFilterTypes)[number];

const grpcFilterTypes = ['ResponseHeaderModifier', 'RequestHeaderModifier', 'RequestMirror', 'ExtensionRef'] as const;

export interface GrpcRouteFilter {
  readonly type: (typeof grpcFilterTypes)[number];
  readonly requestHeaderModifier?: HeaderModifier;
  readonly responseHeaderModifier?: HeaderModifier;
  readonly requestMirror?: RequestMirror;
  readonly extensionRef?: LocalObjectReference;
}

const header = object<HttpHeader>({ name: required(string({ minLength: 1, maxLength: 256 })), value: required(string({ minLength: 1, maxLength: 4096 })) });
const headerModifier = object<HeaderModifier>({ set: list(header, { maxItems: 16 }), add: list(header, { maxItems: 16 }), remove: strings({ maxItems: 16 }) });

const pathModifier = object<PathModifier>({
  type: required(oneOf(['ReplaceFullPath', 'ReplacePrefixMatch'])),
  replaceFullPath: optional(string({ maxLength: 1024 })),
  replacePrefixMatch: optional(string({ maxLength: 1024 })),
});

const hostname = optional(string({ minLength: 1, maxLength: 253 }));

const requestRedirect = object<RequestRedirect>({
  scheme: optional(oneOf(['http', 'https'])),
  hostname,
  path: optional(pathModifier),
  port: optional(int('int32', { min: 1, max: 65535 })),
  statusCode: withDefault(int('int32'), 302),
});

const requestMirror = object<RequestMirror>({
  backendRef: required(backendObjectReference),
  percent: optional(int('int32', { min: 0, max: 100 })),
  fraction: optional(object<NonNullable<RequestMirror['fraction']>>({ numerator: required(int('int32', { min: 0 })), denominator: withDefault(int('int32', { min: 1 }), 100) })),
});

const headerNames = strings({ maxItems: 64 });

const cors = object<CorsFilter>({
  allowOrigins: strings({ maxItems: 64 }),
  allowCredentials: optional(bool()),
  allowMethods: strings({ maxItems: 9 }),
  allowHeaders: headerNames,
  exposeHeaders: headerNames,
  maxAge: withDefault(int('int32', { min: 1 }), 5),
});

const externalAuth = object<ExternalAuth>({
  protocol: required(oneOf(['HTTP', 'GRPC'])),
  backendRef: required(backendObjectReference),
  grpc: optional(object<NonNullable<ExternalAuth['grpc']>>({ allowedHeaders: headerNames })),
  http: optional(object<NonNullable<ExternalAuth['http']>>({ path: string({ maxLength: 1024 }), allowedHeaders: headerNames, allowedResponseHeaders: headerNames })),
  forwardBody: optional(object<NonNullable<ExternalAuth['forwardBody']>>({ maxSize: int('int32', { min: 0 }) })),
});

const modifiers = { requestHeaderModifier: optional(headerModifier), responseHeaderModifier: optional(headerModifier), requestMirror: optional(requestMirror), extensionRef: optional(localObjectReference) };

export const httpRouteFilters = list(
  object<HttpRouteFilter>({
    type: required(oneOf(httpFilterTypes)),
    ...modifiers,
    requestRedirect: optional(requestRedirect),
    urlRewrite: optional(object<UrlRewrite>({ hostname, path: optional(pathModifier) })),
    cors: optional(cors),
    externalAuth: optional(externalAuth),
  }),
  { maxItems: 16 },
);

export const grpcRouteFilters = list(object<GrpcRouteFilter>({ type: required(oneOf(grpcFilterTypes)), ...modifiers }), { maxItems: 16 });
