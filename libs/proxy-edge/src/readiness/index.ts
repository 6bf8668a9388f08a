export { askApplication } from './ask-application.ts';
