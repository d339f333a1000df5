/* <encore-offer>: makes the server's own forms answer without leaving the page.

   The server draws every state; this element only sends, asks again and puts the answer in place. Without it every
   form still works as a form. Stripe.js is loaded for the bank's check and for another card, never before.

   Events, bubbling, detail {state}: encore:accepted, encore:charged, encore:declined, encore:undone.
   Content Security Policy: script-src 'self'. Under require-trusted-types-for 'script' add: trusted-types encore-offer. */

const WAITS = [1, 2, 4, 8, 16, 30, 30, 30]; // seconds between two questions; two minutes in all
const LONGEST_REQUEST = 30_000; // ms: the server gives its bank 20 s
const SEEN = 1000; // ms at least half in view count as seen

const asIs = { createHTML: (html) => html, createScriptURL: (url) => url };
let policy = asIs;
try {
  policy = globalThis.trustedTypes?.createPolicy("encore-offer", asIs) ?? asIs;
} catch { /* the page's policy does not name us; without enforcement plain strings do */ }

let stripeJs;
function loadStripe(url) {
  stripeJs ??= globalThis.Stripe ? Promise.resolve() : new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.nonce = document.querySelector("script[nonce]")?.nonce ?? "";
    script.src = policy.createScriptURL(url);
    script.onload = resolve;
    script.onerror = () => { stripeJs = undefined; script.remove(); reject(new Error("Stripe.js did not load")); };
    document.head.append(script);
  });
  return stripeJs;
}

class EncoreOffer extends HTMLElement {
  #box;
  #life;
  #busy = false;
  #polling = false;
  #payment; // {stripe, elements, height} while another card is being typed in

  connectedCallback() {
    const template = this.querySelector(":scope > template[shadowrootmode]");
    if (!this.shadowRoot && template) {
      this.attachShadow({ mode: "open" }).append(template.content);
      template.remove();
    }
    this.#box = this.shadowRoot?.querySelector(".box");
    if (!this.#box) return;
    this.#life = new AbortController();
    const { signal } = this.#life;
    this.#box.addEventListener("submit", (event) => this.#submitted(event), { signal });
    this.#box.addEventListener("click", (event) => this.#clicked(event), { signal });
    document.addEventListener("visibilitychange", () => this.#returned(), { signal });
    if (this.#is("open")) this.#watch();
    if (this.#waiting) this.#poll();
    // Back from a bank that took the whole page: the server knows better than the page it drew.
    else if (/[?&]redirect_status=/.test(location.search) && this.#is("failed", "action_required")) this.#send("refresh");
  }

  disconnectedCallback() {
    this.#life?.abort();
    this.#polling = false;
  }

  /** The state on screen, as the server names it. */
  get state() {
    return this.#view.dataset.state;
  }

  get #view() {
    return this.#box.querySelector(".view");
  }

  get #waiting() {
    return "waiting" in this.#view.dataset;
  }

  #is(...states) {
    return states.includes(this.state);
  }

  #submitted(event) {
    event.preventDefault();
    const form = event.target;
    if (this.#busy) return;
    if (form.dataset.act === "pay") this.#pay(form.dataset.busy);
    else this.#send(form.dataset.act, form);
  }

  #clicked(event) {
    const button = event.target.closest("button[data-act]");
    if (!button || this.#busy) return;
    if (button.dataset.act === "confirm") this.#confirm(button.dataset.busy);
    else this.#another(button);
  }

  /** Post a form's action and show what the server answers. */
  async #send(act, form) {
    const accepting = act === "accept";
    const before = this.state;
    this.#occupy(form?.dataset.busy ?? "");
    if (act === "decline") this.#show(this.#spare("declined"));
    try {
      this.#show(await this.#ask(form?.getAttribute("action") ?? this.dataset.refresh), accepting);
    } catch {
      if (!this.isConnected) return;
      if (accepting) this.#show(this.#spare("unknown"), true);
      else this.#complain();
    } finally {
      this.#release();
    }
    this.#proceed(before);
  }

  /** A view the server sent along with the offer, for a moment in which it cannot be asked. */
  #spare(state) {
    return this.#view.querySelector(`template[data-view="${state}"]`).content.cloneNode(true);
  }

  /** What a new state asks of us: to wait for its end, or to open the bank's check. A reload never opens it uninvited. */
  #proceed(before) {
    if (this.#waiting) this.#poll();
    else if (this.#is("action_required") && before !== this.state && this.dataset.key) this.#confirm();
  }

  /** The server's fragment for a POST to *url*. Rejects unless the answer is one. */
  async #ask(url) {
    const abort = new AbortController();
    const stop = () => abort.abort();
    const timer = setTimeout(stop, LONGEST_REQUEST);
    this.#life.signal.addEventListener("abort", stop);
    try {
      const response = await fetch(url, { method: "POST", headers: { "X-Encore-Fragment": "1", Accept: "text/html" }, signal: abort.signal });
      const holder = document.createElement("template");
      holder.innerHTML = policy.createHTML(await response.text());
      if (!holder.content.querySelector(".view[data-state]")) throw new Error(`no fragment, status ${response.status}`);
      return holder.content;
    } finally {
      clearTimeout(timer);
      this.#life.signal.removeEventListener("abort", stop);
    }
  }

  /** Put a fragment in place. While there is a price to show the card keeps its height: nothing below it jumps. */
  #show(fragment, accepted = false) {
    const old = this.#view;
    const before = old.dataset.state;
    const view = fragment.querySelector(".view");
    if (view.dataset.state === before && !this.#is("open", "failed")) return;
    if (view.querySelector(".price")) view.style.minBlockSize = `${this.#payment?.height ?? old.getBoundingClientRect().height}px`;
    view.classList.add("fresh");
    this.querySelector('[slot="payment"]')?.remove();
    this.#payment = undefined;
    old.replaceWith(view);
    this.dataset.state = this.state;
    const heading = view.querySelector(".heading");
    // Never take the focus from somebody who went on to another part of the page.
    if ([document.body, this, null].includes(document.activeElement)) heading.focus({ preventScroll: true });
    else this.#say(heading.textContent);
    if (accepted && !this.#is("open", "expired", "sold_out")) this.#tell("accepted");
    if (before !== this.state && this.#is("charged", "declined", "undone")) this.#tell(this.state);
  }

  #tell(what) {
    this.dispatchEvent(new CustomEvent(`encore:${what}`, { bubbles: true, composed: true, detail: { state: this.state } }));
  }

  /** Ask until the state has an end, ever less often; then say so and leave a button. */
  async #poll() {
    const { signal } = this.#life;
    const before = this.state;
    if (this.#polling) return;
    this.#polling = true;
    for (const seconds of WAITS) {
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      if (signal.aborted || !this.#waiting) break;
      if (this.#busy) continue;
      try {
        const fragment = await this.#ask(this.dataset.refresh);
        // "open" means our accept never arrived. Nobody presses twice by accident: that takes a click on "check again".
        if (fragment.querySelector('.view:not([data-state="open"])')) this.#show(fragment);
      } catch { /* the network is away; the next question may get through */ }
    }
    if (signal.aborted) return;
    this.#polling = false;
    if (!this.#waiting) return this.#proceed(before);
    const late = this.#view.querySelector(".late");
    late.textContent = late.dataset.late;
    this.#say(late.dataset.late);
  }

  #occupy(sentence) {
    this.#busy = true;
    this.#box.classList.add("busy");
    this.#box.setAttribute("aria-busy", "true");
    for (const button of this.#box.querySelectorAll("button")) button.ariaDisabled = "true";
    const line = this.#view.querySelector(".method span");
    if (line && sentence) line.textContent = sentence;
    this.#say(sentence);
  }

  #release() {
    this.#busy = false;
    this.#box.classList.remove("busy");
    this.#box.removeAttribute("aria-busy");
    for (const button of this.#box.querySelectorAll("button")) button.ariaDisabled = null;
    this.#say("");
  }

  #say(sentence) {
    this.#box.querySelector(".live").textContent = sentence ?? "";
  }

  /** Stripe, and the secret of this charge's PaymentIntent. */
  async #stripe() {
    const [response] = await Promise.all([
      fetch(this.dataset.secret, { method: "POST", headers: { Accept: "application/json" }, signal: this.#life.signal }),
      loadStripe(this.dataset.stripeJs),
    ]);
    if (!response.ok) throw new Error(`no client secret, status ${response.status}`);
    const { client_secret: clientSecret } = await response.json();
    const account = this.dataset.account;
    const stripe = globalThis.Stripe(this.dataset.key, { locale: this.#box.lang, ...(account && { stripeAccount: account }) });
    return { stripe, clientSecret };
  }

  /** The bank's check, in Stripe's own dialog. What it says is not believed: the server asks Stripe itself. */
  async #confirm(sentence) {
    this.#occupy(sentence);
    try {
      const { stripe, clientSecret } = await this.#stripe();
      await stripe.handleNextAction({ clientSecret });
    } catch {
      this.#release();
      return this.#complain();
    }
    await this.#send("refresh");
  }

  /** Another card: Stripe's Payment Element, which has to live in the page and is slotted into the card. */
  async #another(button) {
    const form = this.#view.querySelector("#pay");
    const pay = this.#view.querySelector('[form="pay"]');
    const { height } = this.#view.getBoundingClientRect();
    const place = document.createElement("div");
    Object.assign(place, { slot: "payment", role: "group", ariaLabel: button.textContent, tabIndex: -1 });
    this.append(place);
    form.hidden = pay.hidden = false;
    button.hidden = true;
    place.focus();
    this.#occupy(button.dataset.busy);
    try {
      const { stripe, clientSecret } = await this.#stripe();
      const card = getComputedStyle(this.#box);
      const yes = getComputedStyle(pay);
      const elements = stripe.elements({
        clientSecret,
        appearance: {
          variables: {
            colorPrimary: yes.backgroundColor,
            colorBackground: card.backgroundColor,
            colorText: card.color,
            fontFamily: card.fontFamily,
            borderRadius: yes.borderRadius,
          },
        },
      });
      elements.create("payment").mount(place);
      this.#payment = { stripe, elements, height };
    } catch {
      place.remove();
      form.hidden = pay.hidden = true;
      button.hidden = false;
      this.#complain();
    }
    this.#release();
  }

  async #pay(sentence) {
    const { stripe, elements } = this.#payment;
    this.#occupy(sentence);
    const { error } = await stripe.confirmPayment({ elements, redirect: "if_required", confirmParams: { return_url: location.href } });
    this.#release();
    if (error?.type === "validation_error") this.#complain(error.message);
    else await this.#send("refresh");
  }

  /** Stripe's own sentences come in the shopper's language; for everything else there is one of ours. */
  #complain(sentence) {
    const place = this.#view.querySelector(".error");
    if (place) place.textContent = sentence ?? place.dataset.fallback;
  }

  /** Tell the server once that a human could see the offer. */
  #watch() {
    let timer;
    const observer = new IntersectionObserver(([entry]) => {
      clearTimeout(timer);
      // A card taller than the screen is seen when it fills half of it.
      const enough = entry.intersectionRatio >= 0.5 || entry.intersectionRect.height >= innerHeight / 2;
      if (enough) timer = setTimeout(() => {
        if (document.hidden) return;
        observer.disconnect();
        navigator.sendBeacon(this.dataset.shown);
      }, SEEN);
    }, { threshold: [0, 0.1, 0.2, 0.3, 0.4, 0.5] });
    observer.observe(this.#box);
    this.#life.signal.addEventListener("abort", () => observer.disconnect());
  }

  /** A tab that was left open past the offer's end shows the end, not a button that would be refused. */
  #returned() {
    if (!document.hidden && !this.#busy && this.#is("open") && Date.now() > Date.parse(this.dataset.expires)) this.#send("refresh");
  }
}

customElements.define("encore-offer", EncoreOffer);
