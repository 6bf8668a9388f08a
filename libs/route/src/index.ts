export {
  RetryOn, type CorsPolicy, type DirectAction, type ForwardAction, type HashPolicy, type HeaderOp, type HeaderOps, type HostRewrite, type MetadataCriteria,
  type MirrorPolicy, type NonForwardingAction, type PathRewrite, type PerFilter, type PerFilterParser, type RedirectAction, type RetryPolicy, type Route,
  type RouteAction, type RouteMatch, type RouteTable, type VirtualHost,
} from './types.ts';
