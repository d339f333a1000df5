/* <encore-offer src="https://shop.example/encore/storefront/v1/offers" token="…">: the offers of an order on a page that
   Flask did not render. It asks the shop for them, puts their sections inside itself, and offer.js does the rest.

   The token is the shop's server's (encore.storefront_token). It travels in a header, which no log keeps. Without offers,
   and whatever goes wrong, the element stays empty. Events: those of offer.js, and encore:empty when there is nothing.
   Under require-trusted-types-for 'script' add: trusted-types encore-offer encore-storefront. */

import "./offer.js";

const HOSTS = "encore-offer[src]";
const LONGEST_REQUEST = 30_000; // ms

const asIs = { createHTML: (html) => html };
let policy = asIs;
try {
  policy = globalThis.trustedTypes?.createPolicy("encore-storefront", asIs) ?? asIs;
} catch { /* the page's policy does not name us; without enforcement plain strings do */ }

const begun = new WeakSet();

async function fill(host) {
  if (begun.has(host)) return;
  begun.add(host);
  const token = host.getAttribute("token");
  try {
    const response = await fetch(host.getAttribute("src"), {
      headers: { Accept: "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
      credentials: "omit",
      signal: AbortSignal.timeout(LONGEST_REQUEST),
    });
    const { offers } = response.ok ? await response.json() : { offers: [] };
    const holder = document.createElement("template");
    holder.innerHTML = policy.createHTML(offers.map((offer) => offer.html).join("\n"));
    // The sections bring their module along for pages the server draws; here it is loaded already.
    for (const script of holder.content.querySelectorAll("script")) script.remove();
    host.replaceChildren(holder.content);
    if (offers.length) return;
  } catch { /* away: the page goes on without an offer */ }
  host.dispatchEvent(new CustomEvent("encore:empty", { bubbles: true }));
}

/** Those that are there, and those a script of the page puts there later. */
function look() {
  document.querySelectorAll(HOSTS).forEach(fill);
}

new MutationObserver(look).observe(document, { childList: true, subtree: true });
look();
