import { json, type Handler } from './serve.ts';

const initial = { Reviewer1: 5, Reviewer2: 4 };

/** GET /ratings/{id}: stars by reviewer; POST replaces them for that product, in memory. */
export function ratings(): Handler {
  const posted = new Map<string, unknown>();
  return (request) => {
    const id = /^\/ratings\/(\d+)$/.exec(request.path)?.[1];
    if (id === undefined) return json({ error: 'please provide numeric product ID' }, 400);
    if (request.method === 'POST') {
      try {
        if (posted.size < 1000) posted.set(id, JSON.parse(request.body));
      } catch {
        return json({ error: 'please provide valid ratings JSON' }, 400);
      }
    }
    return json({ id: Number(id), ratings: posted.get(id) ?? initial });
  };
}
