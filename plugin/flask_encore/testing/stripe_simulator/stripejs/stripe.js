// A stand-in for Stripe.js that talks to the Stripe simulator it was loaded from.
// It keeps to the page's Content-Security-Policy: no inline style, no eval, no other origin.
(() => {
  "use strict";

  const origin = new URL(document.currentScript.src).origin;

  const css = `
    .stripe-sim { font: 16px/1.4 system-ui, sans-serif; color: CanvasText; display: grid; gap: 12px; }
    .stripe-sim label { display: grid; gap: 4px; font-size: 14px; }
    .stripe-sim input { font: inherit; color: inherit; background: Field; border: 1px solid GrayText;
      border-radius: 6px; padding: 10px 12px; min-width: 0; }
    .stripe-sim input:focus-visible, dialog.stripe-sim button:focus-visible { outline: 3px solid Highlight;
      outline-offset: 1px; }
    .stripe-sim .stripe-sim-pair { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; }
    dialog.stripe-sim:not([open]) { display: none; }
    dialog.stripe-sim { border: 1px solid GrayText; border-radius: 12px; padding: 24px; background: Canvas;
      max-width: min(400px, calc(100vw - 32px)); box-sizing: border-box; }
    dialog.stripe-sim::backdrop { background: rgb(0 0 0 / 55%); }
    dialog.stripe-sim h2 { font-size: 18px; margin: 0 32px 0 0; }
    dialog.stripe-sim p { margin: 0; }
    dialog.stripe-sim button { font: inherit; padding: 10px 14px; border-radius: 6px; cursor: pointer;
      border: 1px solid GrayText; background: ButtonFace; color: ButtonText; min-height: 44px; }
    dialog.stripe-sim .stripe-sim-close { position: absolute; inset: 8px 8px auto auto; border: 0;
      background: none; color: inherit; min-width: 44px; }
  `;

  const adoptStyle = () => {
    if (document.adoptedStyleSheets.some((sheet) => sheet.stripeSimulator)) return;
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    sheet.stripeSimulator = true;
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  };

  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };

  /** {a: {b: 1}} -> a[b]=1, leaving out what is not there. */
  const encode = (params, into = new URLSearchParams(), prefix = "") => {
    for (const [name, value] of Object.entries(params)) {
      const field = prefix ? `${prefix}[${name}]` : name;
      if (value === null || value === undefined) continue;
      if (typeof value === "object") encode(value, into, field);
      else into.set(field, String(value));
    }
    return into;
  };

  const idOf = (clientSecret) => String(clientSecret).split("_secret_")[0];

  const money = (minorUnits, currency) => {
    const format = new Intl.NumberFormat(document.documentElement.lang || undefined, { style: "currency", currency });
    const places = ["isk", "ugx"].includes(currency) ? 2 : format.resolvedOptions().maximumFractionDigits;
    return format.format(minorUnits / 10 ** places);
  };

  /** The bank's question. Resolves true for Complete; false for Fail, the cross and Escape. */
  const askShopper = (intent) =>
    new Promise((resolve) => {
      adoptStyle();
      const heading = make("h2", { id: "stripe-sim-question" }, "Your bank asks you to confirm");
      const what = intent.amount === undefined ? "Keep this card" : money(intent.amount, intent.currency);
      const complete = make("button", { type: "button", "data-stripe-sim": "complete" }, "Complete");
      const fail = make("button", { type: "button", "data-stripe-sim": "fail" }, "Fail");
      const close = make(
        "button",
        { type: "button", class: "stripe-sim-close", "aria-label": "Close", "data-stripe-sim": "close" },
        "×",
      );
      const dialog = make(
        "dialog",
        { class: "stripe-sim", "aria-labelledby": "stripe-sim-question" },
        heading,
        make("p", {}, what),
        make("p", {}, "This is a simulated bank. No money moves."),
        make("div", { class: "stripe-sim-pair" }, complete, fail),
        close,
      );
      const finish = (passed) => {
        dialog.close();
        dialog.remove();
        resolve(passed);
      };
      complete.addEventListener("click", () => finish(true));
      fail.addEventListener("click", () => finish(false));
      close.addEventListener("click", () => finish(false));
      dialog.addEventListener("cancel", (event) => {
        event.preventDefault();
        finish(false);
      });
      document.body.append(dialog);
      dialog.showModal();
    });

  class PaymentElement {
    #root = null;
    #listeners = new Map();
    #fields = {};

    mount(target) {
      const place = typeof target === "string" ? document.querySelector(target) : target;
      if (!place) throw new Error(`The selector you specified (${target}) applies to no DOM elements.`);
      adoptStyle();
      const field = (name, label, attributes) => {
        const input = make("input", { inputmode: "numeric", name: `stripe-sim-${name}`, ...attributes });
        input.addEventListener("input", () => this.#emit("change", { complete: this.problem() === null }));
        this.#fields[name] = input;
        return make("label", {}, label, input);
      };
      this.#root = make(
        "div",
        { class: "stripe-sim" },
        field("number", "Card number", { autocomplete: "cc-number", placeholder: "1234 1234 1234 1234" }),
        make(
          "div",
          { class: "stripe-sim-pair" },
          field("exp", "Expiration date", { autocomplete: "cc-exp", placeholder: "MM / YY" }),
          field("cvc", "Security code", { autocomplete: "cc-csc", placeholder: "CVC" }),
        ),
      );
      place.replaceChildren(this.#root);
      queueMicrotask(() => this.#emit("ready", {}));
    }

    unmount() {
      this.#root?.remove();
      this.#root = null;
    }

    destroy() {
      this.unmount();
      this.#listeners.clear();
    }

    on(name, listener) {
      this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]);
      return this;
    }

    focus() {
      this.#fields.number?.focus();
    }

    clear() {
      for (const input of Object.values(this.#fields)) input.value = "";
    }

    update() {}

    /** What is missing, or null. */
    problem() {
      const digits = (name) => (this.#fields[name]?.value ?? "").replace(/\D/g, "");
      const wrong = (code, message) => ({ type: "validation_error", code, message });
      if (digits("number").length < 14) return wrong("incomplete_number", "Your card number is incomplete.");
      if (digits("exp").length < 4) return wrong("incomplete_expiry", "Your card's expiration date is incomplete.");
      if (digits("cvc").length < 3) return wrong("incomplete_cvc", "Your card's security code is incomplete.");
      return null;
    }

    /** The fields in the API's shape. */
    paymentMethodData() {
      const [month, year] = [this.#fields.exp.value.replace(/\D/g, "").slice(0, 2), this.#fields.exp.value.replace(/\D/g, "").slice(2)];
      return {
        type: "card",
        card: { number: this.#fields.number.value, exp_month: month, exp_year: year, cvc: this.#fields.cvc.value },
      };
    }

    #emit(name, detail) {
      for (const listener of this.#listeners.get(name) ?? []) listener({ elementType: "payment", ...detail });
    }
  }

  class Elements {
    #options;
    #payment = null;

    constructor(options) {
      this.#options = options ?? {};
    }

    get clientSecret() {
      return this.#options.clientSecret;
    }

    create(type) {
      if (type !== "payment") throw new Error(`The simulator has no ${type} element.`);
      if (this.#payment) throw new Error("Can only create one Element of type payment through elements().");
      this.#payment = new PaymentElement();
      return this.#payment;
    }

    getElement() {
      return this.#payment;
    }

    update(options) {
      Object.assign(this.#options, options);
    }

    async fetchUpdates() {
      return {};
    }

    async submit() {
      const error = this.#payment?.problem() ?? null;
      return error ? { error } : {};
    }
  }

  class StripeStandIn {
    #key;

    constructor(key) {
      if (typeof key !== "string" || !key.startsWith("pk_")) {
        throw new Error("Please call Stripe() with your publishable key. You used an empty string or a secret key.");
      }
      this.#key = key;
    }

    elements(options) {
      return new Elements(options);
    }

    registerAppInfo() {}

    async retrievePaymentIntent(clientSecret) {
      return this.#intent("GET", clientSecret);
    }

    async handleNextAction({ clientSecret }) {
      const found = await this.#intent("GET", clientSecret);
      if (found.error) return found;
      const intent = found.paymentIntent ?? found.setupIntent;
      if (intent.status !== "requires_action") {
        throw new Error(`handleNextAction: The intent supplied is not in the requires_action state (${intent.status}).`);
      }
      return this.#challenge(intent, clientSecret);
    }

    async confirmPayment({ elements, clientSecret, confirmParams = {}, redirect = "always" }) {
      const secret = clientSecret ?? elements?.clientSecret;
      const made = elements ? await this.createPaymentMethod({ elements }) : {};
      if (made.error) return made;
      const method = made.paymentMethod?.id ?? confirmParams.payment_method;
      const params = { use_stripe_sdk: true, payment_method: method, return_url: confirmParams.return_url };
      let result = await this.#intent("POST", secret, "confirm", params);
      const intent = result.paymentIntent ?? result.setupIntent;
      if (intent?.status === "requires_action") result = await this.#challenge(intent, secret);
      if (result.error || redirect === "if_required") return result;
      const back = new URL(confirmParams.return_url);
      back.searchParams.set("payment_intent", idOf(secret));
      back.searchParams.set("payment_intent_client_secret", secret);
      back.searchParams.set("redirect_status", "succeeded");
      location.assign(back);
      return new Promise(() => {});
    }

    async confirmSetup(options) {
      return this.confirmPayment(options);
    }

    async confirmCardPayment(clientSecret, { payment_method: method } = {}) {
      return this.confirmPayment({
        clientSecret,
        redirect: "if_required",
        confirmParams: { payment_method: method },
      });
    }

    async createPaymentMethod({ elements, ...data }) {
      const error = elements?.getElement()?.problem();
      if (error) return { error };
      const params = elements ? elements.getElement().paymentMethodData() : data;
      const answer = await this.#call("POST", "/v1/payment_methods", params);
      return answer.error ? answer : { paymentMethod: answer };
    }

    async createConfirmationToken({ elements, params = {} }) {
      const error = elements.getElement()?.problem();
      if (error) return { error };
      const data = { ...params, payment_method_data: elements.getElement().paymentMethodData() };
      const answer = await this.#call("POST", "/v1/confirmation_tokens", data);
      return answer.error ? answer : { confirmationToken: answer };
    }

    async #challenge(intent, clientSecret) {
      const passed = await askShopper(intent);
      const result = await this.#intent("POST", clientSecret, "_authenticate", { success: passed });
      const after = result.paymentIntent ?? result.setupIntent;
      const error = after?.last_payment_error ?? after?.last_setup_error;
      if (!error) return result;
      return { error: { ...error, [after.object]: after } };
    }

    async #intent(method, clientSecret, verb = "", params = {}) {
      const id = idOf(clientSecret);
      const kind = id.startsWith("seti_") ? "setup_intents" : "payment_intents";
      const path = `/v1/${kind}/${id}${verb && `/${verb}`}`;
      const answer = await this.#call(method, path, { ...params, client_secret: clientSecret });
      if (answer.error) return answer;
      return { [kind === "setup_intents" ? "setupIntent" : "paymentIntent"]: answer };
    }

    async #call(method, path, params) {
      const body = encode(params);
      const url = method === "GET" ? `${origin}${path}?${body}` : `${origin}${path}`;
      const headers = { Authorization: `Bearer ${this.#key}` };
      try {
        const response = await fetch(url, { method, headers, body: method === "GET" ? undefined : body });
        return await response.json();
      } catch {
        return { error: { type: "api_connection_error", message: "We could not reach Stripe. Please try again." } };
      }
    }
  }

  window.Stripe = Object.assign((key, options) => new StripeStandIn(key, options), { version: "simulator" });
})();
