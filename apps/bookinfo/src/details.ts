import { json, type Handler } from './serve.ts';

/** GET /details/{id}: the book's facts. */
export const details: Handler = (request) => {
  const id = /^\/details\/(\d+)$/.exec(request.path)?.[1];
  if (id === undefined) return json({ error: 'please provide numeric product ID' }, 400);
  return json({
    id: Number(id), author: 'William Shakespeare', year: 1595, type: 'paperback', pages: 200, publisher: 'PublisherA', language: 'English',
    'ISBN-10': '1234567890', 'ISBN-13': '123-1234567890',
  });
};
