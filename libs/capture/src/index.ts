export { captureFlags, parseCaptureOptions, type CaptureFlag, type CaptureOptions } from './capture-options.ts';
export { captureRules, type CaptureRules } from './capture-rules.ts';
export { hasIptablesRules, iptablesDryRun, iptablesRestore, iptablesRevert, readIptablesRules, type InstalledRule } from './iptables.ts';
export { nftScript, nftTable, readNftRules } from './nftables.ts';
export type { Family, RouteStep } from './rule.ts';
