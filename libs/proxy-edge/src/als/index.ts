export { ReportSenders, type ReportSendersOptions } from './report-senders.ts';
