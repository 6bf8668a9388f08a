import { get, headersToForward } from './call.ts';
import { renderPage, type Details, type Panel, type Reviews } from './page.ts';
import { json, type Answer, type AppRequest, type Handler } from './serve.ts';
import type { Settings } from './settings.ts';

const product = {
  id: 0,
  title: 'The Comedy of Errors',
  descriptionHtml: 'Two pairs of twins, parted by a shipwreck, come to the same town on the same day; nobody, the twins least of all, knows who is who.',
};

/** The sample's timeout for each of two tries: with a 7 s delay behind it the page gives up after 6 s. */
const reviewsTimeoutMs = 3000;
const detailsTimeoutMs = 3000;

/** The front page and its small API: /productpage, /login, /logout, /api/v1/products… */
export function productpage(settings: Settings): Handler {
  return async (request) => {
    const api = /^\/api\/v1\/products(?:\/(\d+)(?:\/(reviews|ratings))?)?$/.exec(request.path);
    if (api) return apiAnswer(settings, request, api[1], api[2]);
    switch (request.path) {
      case '/': case '/index.html': return redirect('/productpage');
      case '/productpage': return page(settings, request);
      case '/login': return login(request);
      case '/logout': return { ...redirect(back(request)), headers: { location: back(request), 'set-cookie': 'session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax' } };
      default: return json({ error: 'not found' }, 404);
    }
  };
}

async function page(settings: Settings, request: AppRequest): Promise<Answer> {
  const user = userOf(request);
  const headers = outgoingHeaders(request, user);
  const [details, reviews] = await Promise.all([fetchDetails(settings, headers), fetchReviews(settings, headers)]);
  return { status: 200, type: 'text/html; charset=utf-8', body: renderPage({ product, user, details, reviews, podName: settings.podName }) };
}

async function apiAnswer(settings: Settings, request: AppRequest, id: string | undefined, part: string | undefined): Promise<Answer> {
  if (id === undefined) return json([product]);
  const headers = outgoingHeaders(request, userOf(request));
  const panel = part === 'reviews' ? await fetchReviews(settings, headers) : part === 'ratings' ? await fetchPanel(`${settings.ratings}/ratings/${id}`, { headers, timeoutMs: 3000, tries: 1, what: 'product ratings' }) : await fetchDetails(settings, headers);
  return json(panel.ok ? panel.value : { error: panel.error }, panel.ok ? 200 : panel.status);
}

function fetchDetails(settings: Settings, headers: Record<string, string>): Promise<Panel<Details>> {
  return fetchPanel(`${settings.details}/details/0`, { headers, timeoutMs: detailsTimeoutMs, tries: 1, what: 'product details' });
}

function fetchReviews(settings: Settings, headers: Record<string, string>): Promise<Panel<Reviews>> {
  return fetchPanel(`${settings.reviews}/reviews/0`, { headers, timeoutMs: reviewsTimeoutMs, tries: 2, what: 'product reviews' });
}

interface PanelCall {
  readonly headers: Record<string, string>;
  readonly timeoutMs: number;
  readonly tries: number;
  readonly what: string;
}

async function fetchPanel<T>(url: string, call: PanelCall): Promise<Panel<T>> {
  const failure = { ok: false, error: `Sorry, ${call.what} are currently unavailable for this book.` } as const;
  for (let attempt = 1; ; attempt++) {
    try {
      const reply = await get(url, call);
      return reply.status === 200 ? { ok: true, value: JSON.parse(reply.body) as T } : { ...failure, status: reply.status };
    } catch {
      if (attempt >= call.tries) return { ...failure, status: 500 };
    }
  }
}

function login(request: AppRequest): Answer {
  const user = new URLSearchParams(request.body).get('username')?.trim().slice(0, 64) ?? '';
  if (user === '') return redirect('/productpage');
  return { ...redirect(back(request)), headers: { location: back(request), 'set-cookie': `session=${encodeURIComponent(user)}; Path=/; HttpOnly; SameSite=Lax` } };
}

/** The page one came from, and never another site. */
function back(request: AppRequest): string {
  const referer = request.headers.referer;
  try {
    return referer === undefined ? '/productpage' : `/${new URL(referer).pathname.replace(/^\/+/, '')}`;
  } catch {
    return '/productpage';
  }
}

function redirect(location: string): Answer {
  return { status: 302, type: 'text/plain', body: '', headers: { location } };
}

function userOf(request: AppRequest): string | undefined {
  const session = /(?:^|;\s*)session=([^;]*)/.exec(request.headers.cookie ?? '')?.[1];
  if (session === undefined || session === '') return undefined;
  try {
    return decodeURIComponent(session);
  } catch {
    return undefined;
  }
}

/** A logged-in user travels as `end-user`: what routes match on. One that came with the request stays. */
function outgoingHeaders(request: AppRequest, user: string | undefined): Record<string, string> {
  const headers = headersToForward(request.headers);
  if (user !== undefined) headers['end-user'] = encodeURIComponent(user);
  return headers;
}
