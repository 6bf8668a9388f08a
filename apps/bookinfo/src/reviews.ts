import { get, headersToForward } from './call.ts';
import { json, type AppRequest, type Handler } from './serve.ts';
import type { Settings } from './settings.ts';

type Rating = { stars: number; color: string } | { error: string };

/** The sample waits this long for ratings when it shows coloured stars, and longer than productpage waits for it: the bug the fault task finds. */
const ratingsTimeoutMs = (color: string) => (color === 'black' ? 10_000 : 2500);

/** GET /reviews/{id}: two reviews; versions v2 and v3 add the ratings' stars. */
export function reviews(settings: Settings): Handler {
  return async (request) => {
    const id = /^\/reviews\/(\d+)$/.exec(request.path)?.[1];
    if (id === undefined) return json({ error: 'please provide numeric product ID' }, 400);
    const stars = settings.enableRatings ? await fetchStars(settings, id, request) : undefined;
    return json({
      id, podname: settings.podName, clustername: settings.clusterName,
      reviews: [
        { reviewer: 'Reviewer1', text: 'One bewildered town, one gold chain, and always the wrong twin at the door. I laughed from the first mix-up to the last embrace.', ...rated('Reviewer1', settings, stars) },
        { reviewer: 'Reviewer2', text: 'Quick, merry and over in an evening. Nobody on the stage knows who is who, and by the third act neither did I.', ...rated('Reviewer2', settings, stars) },
      ],
    });
  };
}

type Stars = { readonly [reviewer: string]: number } | 'unavailable';

async function fetchStars(settings: Settings, id: string, request: AppRequest): Promise<Stars> {
  try {
    const reply = await get(`${settings.ratings}/ratings/${id}`, { headers: headersToForward(request.headers), timeoutMs: ratingsTimeoutMs(settings.starColor) });
    if (reply.status !== 200) return 'unavailable';
    const parsed = JSON.parse(reply.body) as { ratings?: Record<string, number> };
    return parsed.ratings ?? 'unavailable';
  } catch {
    return 'unavailable';
  }
}

function rated(reviewer: string, settings: Settings, stars: Stars | undefined): { rating?: Rating } {
  if (stars === undefined) return {};
  if (stars === 'unavailable') return { rating: { error: 'Ratings service is currently unavailable' } };
  const count = stars[reviewer];
  return { rating: count === undefined ? { error: 'Ratings service is currently unavailable' } : { stars: count, color: settings.starColor } };
}
