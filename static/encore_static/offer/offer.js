/* <encore-offer>: makes the server's own forms answer without leaving the page.

   The server draws every state; this element only sends, asks again and puts the answer in place. Without it every
   form still works as a form. Stripe.js is loaded for the bank's check and for another card, never before.

   Events, bubbling, detail {state}: encore:accepted, encore:charged, encore:declined, encore:undone.
   Content Security Policy: script-src 'self'. Under require-trusted-types-for 'script' add: trusted-types encore-offer. */

const WAITS = [1, 2, 4, 8, 16, 30, 30, 30]; // seconds between two questions; two minutes in all
const LONGEST_REQUEST = 30_000; // ms: the server gives its bank 20 s
const SEEN = 1000; // ms at least half in view count as seen
const MARGIN = 16; // px a dialog keeps from the edge
const ROOM = 1.25; // times this card's height is kept free for the next one, which may have a field more

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
  #said = ""; // while busy
  #ticking;
  #dialog;
  #floating;
  #from; // what had the focus before the dialog

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
    this.#box.addEventListener("change", (event) => event.target.id === "choice" && this.#choose(event.target), { signal });
    document.addEventListener("visibilitychange", () => this.#returned(), { signal });
    if (this.#is("open")) {
      this.#watch();
      this.#float();
    }
    this.#tick();
    if (this.#waiting) this.#poll();
    // Back from a bank that took the whole page: the server knows better than the page it drew.
    else if (/[?&]redirect_status=/.test(location.search) && this.#is("failed", "action_required")) this.#send("refresh");
  }

  disconnectedCallback() {
    this.#life?.abort();
    clearInterval(this.#ticking);
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
    const { height } = this.#view.getBoundingClientRect();
    // What moves because of a click has to move with it, not when the bank has answered.
    if (accepting && "upsell" in this.#view.dataset) this.#reserve(height * ROOM);
    const spare = act === "decline" && this.#spare("declined");
    if (spare) this.#show(spare);
    try {
      this.#show(await this.#ask(form?.getAttribute("action") ?? this.dataset.refresh, form), accepting, height);
    } catch {
      if (!this.isConnected) return;
      const lost = accepting && this.#spare("unknown");
      if (lost) this.#show(lost, true);
      else this.#complain();
    } finally {
      this.#release();
    }
    this.#proceed(before);
  }

  /** A view the server sent along with the offer, for a moment in which it cannot be asked. */
  #spare(state) {
    return this.#view.querySelector(`template[data-view="${state}"]`)?.content.cloneNode(true);
  }

  /** Show what the server asks for another choice. Until it has answered, the old one stands and nothing can be bought. */
  async #choose(select) {
    if (this.#busy) return;
    const before = [...select.options].findIndex((option) => option.defaultSelected);
    this.#occupy("");
    try {
      let asked, fragment;
      do {
        asked = select.value;
        fragment = await this.#ask(select.form.getAttribute("action"), select.form);
      } while (asked !== select.value); // chosen anew in the meantime
      const focused = this.shadowRoot.activeElement === select;
      this.#show(fragment);
      if (focused) this.#box.querySelector("#choice")?.focus();
      this.#release();
      const total = this.#box.querySelector("#total");
      if (total) this.#say(total.textContent);
    } catch {
      if (!this.isConnected) return;
      select.selectedIndex = before;
      this.#release();
      this.#complain();
    }
  }

  /** What a new state asks of us: to wait for its end, or to open the bank's check. A reload never opens it uninvited. */
  #proceed(before) {
    if (this.#waiting) this.#poll();
    else if (this.#is("action_required") && before !== this.state && this.dataset.key) this.#confirm();
  }

  /** The server's fragment for a POST of *form* to *url*. Rejects unless the answer is one. */
  async #ask(url, form) {
    const abort = new AbortController();
    const stop = () => abort.abort();
    const timer = setTimeout(stop, LONGEST_REQUEST);
    this.#life.signal.addEventListener("abort", stop);
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { "X-Encore-Fragment": "1", Accept: "text/html" },
        body: form && new URLSearchParams(new FormData(form)),
        signal: abort.signal,
      });
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
  #show(fragment, accepted = false, height = 0) {
    const old = this.#view;
    const before = old.dataset.state;
    const view = fragment.querySelector(".view");
    if (view.dataset.state === before && !this.#is("open", "failed", "charged")) return this.#follow(fragment, height);
    const same = view.dataset.state === before;
    if (view.querySelector(".price")) view.style.minBlockSize = `${this.#payment?.height ?? old.getBoundingClientRect().height}px`;
    if (!same) view.classList.add("fresh");
    const typed = old.querySelector("#text")?.value;
    const field = view.querySelector("#text");
    if (field && typed !== undefined) field.value = typed;
    this.querySelector('[slot="payment"]')?.remove();
    this.#payment = undefined;
    old.replaceWith(view);
    this.dataset.state = this.state;
    this.#tick();
    if (this.#is("declined", "expired")) this.#dock();
    const heading = view.querySelector(".heading");
    // Never take the focus from somebody who went on to another part of the page.
    if ([document.body, this, null].includes(document.activeElement)) heading.focus({ preventScroll: true });
    else this.#say(heading.textContent);
    if (accepted && !this.#is("open", "expired", "sold_out")) this.#tell("accepted");
    if (before !== this.state && this.#is("charged", "declined", "undone")) this.#tell(this.state);
    this.#follow(fragment, height);
  }

  /** The offer that follows this answer, a section of its own. It takes the place of a no, and stands below a yes. */
  #follow(fragment, height) {
    const next = fragment.querySelector("encore-offer");
    if (!next || !this.isConnected) return;
    const declined = this.#is("declined");
    if (!declined && document.getElementById(next.id)) return;
    const focused = document.activeElement === this || document.activeElement === document.body;
    const mark = document.createElement("div");
    this.after(mark);
    const { top } = mark.getBoundingClientRect();
    mark.before(next);
    try { // its own stylesheet comes a moment later, and it must not be seen, or measured, without one
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(Array.from(this.shadowRoot.querySelector("link").sheet.cssRules, (rule) => rule.cssText).join(""));
      next.shadowRoot.adoptedStyleSheets = [sheet];
    } catch { /* served from elsewhere: then it comes a moment later */ }
    const heading = next.shadowRoot.querySelector(".heading");
    if (declined) next.shadowRoot.querySelector(".view").style.minBlockSize = `${height}px`;
    else {
      this.style.paddingBottom = "";
      const spare = top - mark.getBoundingClientRect().top;
      if (spare > 0) next.#reserve(spare);
    }
    mark.remove();
    if (!declined) this.#say(`${this.#view.querySelector(".heading").textContent} ${heading.textContent}`);
    else {
      this.remove();
      if (focused) heading.focus({ preventScroll: true });
    }
  }

  /** Keep room below, until the shopper does something: what moves then was asked for. */
  #reserve(height) {
    this.style.paddingBottom = `${height}px`;
    const give = () => { if (!this.#busy) this.style.paddingBottom = ""; };
    for (const kind of ["click", "keyup"]) addEventListener(kind, give, { signal: this.#life.signal });
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
    this.#said = sentence ?? "";
    this.#say(sentence);
  }

  #release() {
    this.#busy = false;
    this.#box.classList.remove("busy");
    this.#box.removeAttribute("aria-busy");
    for (const button of this.#box.querySelectorAll("button")) button.ariaDisabled = null;
    // What the answer said in the meantime stays said.
    const live = this.#box.querySelector(".live");
    if (live.textContent === this.#said) live.textContent = "";
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

  /** Count what is left beside the time, for who does not mind a text that changes. The end is the server's to say. */
  #tick() {
    clearInterval(this.#ticking);
    const { left } = this.#view.dataset;
    if (!left) return;
    const end = Date.now() + left * 1000;
    const place = matchMedia("(prefers-reduced-motion: reduce)").matches ? null : this.#view.querySelector(".left");
    const beat = () => {
      const seconds = Math.max(0, Math.ceil((end - Date.now()) / 1000));
      if (place) place.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
      if (seconds || this.#busy) return;
      clearInterval(this.#ticking);
      this.#send("refresh");
    };
    beat();
    this.#ticking = setInterval(beat, 1000);
  }

  /** As a dialog, once: the card at the end of the screen while its place is further down, never over the confirmation.

     It is not modal and takes no focus: the confirmation is read first. Where it does not fit it stays in the page. */
  #float() {
    const name = `encore-dialog-${this.dataset.dialog}`;
    try {
      if (!this.dataset.dialog || localStorage.getItem(name)) return;
    } catch { /* a browser that keeps nothing is asked again on the next visit */ }
    const stop = new AbortController();
    const options = { passive: true, signal: stop.signal };
    this.#life.signal.addEventListener("abort", () => stop.abort());
    const look = () => {
      const { top, left, width, height } = this.getBoundingClientRect();
      const edge = innerHeight - height - MARGIN;
      if (this.#dialog) return top <= edge && this.#dock();
      if (!this.#is("open")) return stop.abort();
      const confirmation = document.querySelector("main h1") ?? document.querySelector("h1");
      if (edge < MARGIN || top <= edge || confirmation?.getBoundingClientRect().bottom > edge) return;
      this.#open({ left, width, height });
      addEventListener("keydown", (event) => event.key === "Escape" && this.#dock(true), options);
      try {
        localStorage.setItem(name, "1");
      } catch { /* the same */ }
    };
    this.#floating = stop;
    for (const kind of ["scroll", "resize"]) addEventListener(kind, look, options);
    look();
  }

  #open({ left, width, height }) {
    const dialog = document.createElement("dialog");
    const close = document.createElement("button");
    Object.assign(close, { type: "button", className: "close", ariaLabel: this.dataset.close, textContent: "×" });
    dialog.ariaLabel = this.dataset.label;
    dialog.style.left = `${left}px`;
    dialog.style.width = `${width}px`;
    // Its place waits for it.
    this.style.minHeight = `${height}px`;
    this.style.margin = getComputedStyle(this.#box).margin;
    this.#box.replaceWith(dialog);
    this.#box.prepend(close);
    dialog.append(this.#box);
    dialog.addEventListener("focusin", ({ relatedTarget }) => {
      if (relatedTarget && !dialog.contains(relatedTarget)) this.#from = relatedTarget;
    });
    close.addEventListener("click", () => this.#dock(true));
    this.#dialog = dialog;
    dialog.show();
    this.shadowRoot.activeElement?.blur();
    this.#say(this.dataset.label);
  }

  /** Put the card back in its place; a closed one gives the focus back to where it came from. */
  #dock(closed) {
    this.#floating?.abort();
    if (!this.#dialog) return;
    const focused = this.shadowRoot.activeElement;
    this.#box.querySelector(".close").remove();
    this.#dialog.replaceWith(this.#box);
    this.#dialog = undefined;
    this.style.minHeight = this.style.margin = "";
    if (focused) (closed && this.#from?.isConnected ? this.#from : focused).focus({ preventScroll: true });
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
    if (!document.hidden && !this.#busy && this.#is("open") && Date.now() > Date.parse(this.#view.dataset.expires)) this.#send("refresh");
  }
}

customElements.define("encore-offer", EncoreOffer);
