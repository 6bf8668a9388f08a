/** What the details service says. */
export interface Details {
  readonly author: string;
  readonly year: number;
  readonly type: string;
  readonly pages: number;
  readonly publisher: string;
  readonly language: string;
  readonly 'ISBN-10': string;
  readonly 'ISBN-13': string;
}

export interface Reviews {
  readonly podname?: string;
  readonly reviews: readonly { readonly reviewer: string; readonly text: string; readonly rating?: { readonly stars?: number; readonly color?: string; readonly error?: string } }[];
}

/** A part of the page that another service fills, or the sorry line it leaves. */
export type Panel<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string; readonly status: number };

export interface PageModel {
  readonly product: { readonly title: string; readonly descriptionHtml: string };
  readonly user: string | undefined;
  readonly details: Panel<Details>;
  readonly reviews: Panel<Reviews>;
  readonly podName: string;
}

/** The whole page as HTML; every value from outside is escaped. */
export function renderPage(model: PageModel): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(model.product.title)} · Bookinfo</title>
<link rel="icon" href="data:image/svg+xml,${encodeURIComponent(sail.replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" '))}">
<style>${css}</style>
</head>
<body>
<header><a class="brand" href="/productpage">${sail} Bookinfo</a>${session(model.user)}</header>
<main>
<section class="book">
${cover}
<div><p class="eyebrow">Comedy · five acts</p><h1>${escape(model.product.title)}</h1><p class="lede">${escape(model.product.descriptionHtml)}</p></div>
</section>
<div class="columns">
<section id="details" class="card"><h2>Book Details</h2>${model.details.ok ? detailsTable(model.details.value) : sorry('product details', model.details.error)}</section>
<section id="reviews" class="card"><h2>Book Reviews</h2>${model.reviews.ok ? reviewList(model.reviews.value) : sorry('product reviews', model.reviews.error)}</section>
</div>
</main>
<footer>Served by ${escape(model.podName)}. Each panel is another service; every call between them crosses the mesh.</footer>
</body>
</html>
`;
}

function session(user: string | undefined): string {
  if (user !== undefined) return `<div class="session">Signed in as <b>${escape(user)}</b> <a href="/logout">sign out</a></div>`;
  return `<form class="session" method="post" action="/login"><input name="username" placeholder="Name, say: jason" aria-label="User name" required maxlength="64"><input name="passwd" type="password" placeholder="Password" aria-label="Password"><button>Sign in</button></form>`;
}

function detailsTable(details: Details): string {
  const rows: [string, string | number][] = [
    ['Author', details.author], ['Year', details.year], ['Type', details.type], ['Pages', details.pages], ['Publisher', details.publisher],
    ['Language', details.language], ['ISBN-10', details['ISBN-10']], ['ISBN-13', details['ISBN-13']],
  ];
  return `<dl>${rows.map(([name, value]) => `<dt>${name}</dt><dd>${escape(String(value))}</dd>`).join('')}</dl>`;
}

function reviewList(reviews: Reviews): string {
  const quotes = reviews.reviews.map((review) => `<blockquote><p>${escape(review.text)}</p>${rating(review.rating)}<cite>${escape(review.reviewer)}</cite></blockquote>`).join('');
  return `${quotes}<p class="served">Reviews served by: <code>${escape(reviews.podname ?? 'unknown')}</code></p>`;
}

function rating(value: Reviews['reviews'][number]['rating']): string {
  if (value === undefined) return '';
  if (value.error !== undefined || value.stars === undefined) return `<p class="error small">${escape(value.error ?? 'Ratings service is currently unavailable')}</p>`;
  const stars = Math.max(0, Math.min(5, Math.round(value.stars)));
  const color = value.color === 'red' ? 'red' : 'black';
  return `<p class="stars ${color}" aria-label="${stars} of 5 stars, ${color}">${'<span class="glyphicon-star">★</span>'.repeat(stars)}${'<span class="glyphicon-star-empty">☆</span>'.repeat(5 - stars)}</p>`;
}

function sorry(what: string, text: string): string {
  return `<div class="error"><h3>Error fetching ${escape(what)}!</h3><p>${escape(text)}</p></div>`;
}

export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

const sail = '<svg viewBox="0 0 24 24" width="26" height="26" aria-hidden="true"><path d="M12 2v15H4z" fill="#3fc1c9"/><path d="M13.5 6v11H20z" fill="#fff"/><path d="M2 19h20l-3 3H5z" fill="#fc5185"/></svg>';

const cover = '<svg class="cover" viewBox="0 0 120 170" role="img" aria-label="Book cover: two faces that mirror each other"><rect width="120" height="170" rx="6" fill="#12355b"/><rect x="8" y="8" width="104" height="154" rx="3" fill="none" stroke="#e8c468" stroke-width="1.5"/><circle cx="46" cy="76" r="21" fill="#e8c468"/><circle cx="74" cy="76" r="21" fill="#3fc1c9" fill-opacity=".88"/><path d="M38 72h4M38 84q8 7 15 0M78 72h4M67 84q8-7 15 0" stroke="#12355b" stroke-width="2.2" fill="none" stroke-linecap="round"/><path d="M14 122q12-9 23 0t23 0 23 0 23 0M14 132q12-9 23 0t23 0 23 0 23 0" stroke="#fff" stroke-opacity=".5" fill="none" stroke-width="2"/><text x="60" y="36" fill="#fff" font-family="Georgia,serif" font-size="11" text-anchor="middle">The Comedy</text><text x="60" y="49" fill="#fff" font-family="Georgia,serif" font-size="11" text-anchor="middle">of Errors</text></svg>';

const css = `
:root{--ink:#17263c;--soft:#5c6b80;--line:#e3e8ef;--sea:#0f7c8a;--paper:#fff}
*{box-sizing:border-box}body{margin:0;font:16px/1.55 system-ui,"Segoe UI",Roboto,sans-serif;color:var(--ink);background:#f4f7fa}
header{display:flex;gap:1rem;align-items:center;justify-content:space-between;flex-wrap:wrap;padding:.8rem clamp(1rem,5vw,4rem);background:#12355b;color:#fff}
.brand{display:flex;gap:.6rem;align-items:center;color:#fff;text-decoration:none;font-weight:650;font-size:1.15rem;letter-spacing:.01em}
.session{display:flex;gap:.5rem;align-items:center;flex-wrap:wrap}.session a{color:#9fe3e8}
input{font:inherit;padding:.4rem .7rem;border:1px solid #ffffff40;border-radius:7px;background:#ffffff1a;color:#fff;width:11.5rem}input::placeholder{color:#c6d3e3}
button{font:inherit;font-weight:600;padding:.42rem .95rem;border:0;border-radius:7px;background:#3fc1c9;color:#0c2d3a;cursor:pointer}button:hover{background:#63d3da}
main{max-width:1060px;margin:0 auto;padding:2rem clamp(1rem,4vw,2rem)}
.book{display:flex;gap:2rem;align-items:center;margin-bottom:2rem}.cover{width:128px;flex:none;filter:drop-shadow(0 8px 16px #12355b44)}
.eyebrow{margin:0;color:var(--sea);font-weight:600;font-size:.82rem;text-transform:uppercase;letter-spacing:.09em}
h1{margin:.15rem 0 .5rem;font:600 clamp(1.8rem,4vw,2.7rem)/1.15 Georgia,"Times New Roman",serif}.lede{margin:0;color:var(--soft);max-width:56ch}
.columns{display:grid;grid-template-columns:minmax(0,5fr) minmax(0,7fr);gap:1.4rem}@media(max-width:760px){.columns{grid-template-columns:1fr}.book{align-items:flex-start;gap:1.2rem}.cover{width:92px}}
.card{background:var(--paper);border:1px solid var(--line);border-radius:14px;padding:1.3rem 1.5rem;box-shadow:0 1px 2px #12355b0d}
h2{margin:0 0 .9rem;font-size:1.05rem}dl{display:grid;grid-template-columns:auto 1fr;gap:.45rem 1.2rem;margin:0}dt{color:var(--soft)}dd{margin:0;font-variant-numeric:tabular-nums}
blockquote{margin:0 0 1.1rem;padding:0 0 1.1rem;border-bottom:1px solid var(--line)}blockquote p{margin:0 0 .35rem}cite{display:block;color:var(--soft);font-style:normal;font-size:.92rem}cite:before{content:"— "}
.stars{font-size:1.25rem;letter-spacing:.12em;line-height:1.2}.stars.black{color:#17263c}.stars.red{color:#d7263d}
.served{margin:0;color:var(--soft);font-size:.88rem}code{font-size:.95em}
.error{background:#fff4f4;border:1px solid #f3c7cb;color:#8d1f2d;border-radius:10px;padding:.8rem 1rem}.error h3{margin:0 0 .2rem;font-size:1rem}.error p{margin:0}.error.small{padding:.3rem .7rem;font-size:.9rem;display:inline-block}
footer{max-width:1060px;margin:0 auto;padding:0 clamp(1rem,4vw,2rem) 2rem;color:var(--soft);font-size:.88rem}`;
