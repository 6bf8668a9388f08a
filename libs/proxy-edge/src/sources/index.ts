export { feedOpener, meshFeedOpener } from './open-feed.ts';
