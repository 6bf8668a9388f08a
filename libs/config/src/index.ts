export { keyText, type ConfigKey, type ObjectMeta, type RawObject, type Config } from './object.ts';
