/** What writers of filters import, as `@meltemi/proxy/filter`. Every program that loads a module gives it these very objects. */
export { fail, ok, type FieldError, type Result } from '@meltemi/base';
export { HeaderMap, RequestHead, ResponseFlag, ResponseHead, type StreamInfo } from '@meltemi/http';
export {
  DataStatus, FilterEvents, FilterStatus, HttpStreamFilter, type FilterContext, type HttpFilterConfig, type LocalReply, type StreamControls,
} from './filter.ts';
export type { HttpFilterModule, ModuleParseContext, ModuleSettings } from './filters/http/module/module-filter.ts';
