// What can be changed: budget, keep ratio, recalibration; and the switch that cameras have.

import { element, mark, say } from "./element.js";
import { milliseconds, percent, words } from "./words.js";

// switchOf makes a switch; turned(on) is told what is wanted, set(on) shows what holds.
export function switchOf(turned) {
  const text = element("span");
  const e = element("button", { type: "button", role: "switch", class: "switch", "aria-checked": "false" }, text, element("span", { class: "track", "aria-hidden": "true" }));
  e.addEventListener("click", () => turned(e.getAttribute("aria-checked") !== "true"));
  e.set = (on) => mark(e, "aria-checked", on);
  e.named = (short, long) => { say(text, short); mark(e, "aria-label", long ?? null); };
  return e;
}

// The slider of the budget is logarithmic: 1 ms to 1 s.
const toSlider = (ms) => Math.round(1000 * Math.log10(Math.min(Math.max(ms, 1), 1000)) / 3);
const fromSlider = (at) => { const ms = 10 ** (3 * at / 1000); return ms < 10 ? Math.round(10 * ms) / 10 : Math.round(ms); };

export class Controls {
  #change; #unlock; #parts = {}; #settings = null; #may = false; #token = true; #busy = false; #touched = {}; #sending = {};

  // change(command, value) does something, unlock() asks for the token.
  constructor(change, unlock) {
    this.#change = change;
    this.#unlock = unlock;
    const p = this.#parts;
    this.element = element("section", { class: "controls panel", "aria-labelledby": "controls-title" },
      element("div", { class: "controls-head" }, p.title = element("h2", { id: "controls-title" }), p.note = element("p", { id: "controls-note" })),
      element("div", { class: "controls-row" },
        element("div", { class: "control" },
          element("div", { class: "top" }, p.budgetName = element("label", { for: "budget" }),
            element("span", { class: "with-unit" }, p.budget = element("input", { id: "budget", type: "number", min: 1, max: 60000, step: "any", inputmode: "decimal", "aria-describedby": "budget-hint" }), "ms")),
          p.budgetRange = element("input", { id: "budget-range", type: "range", min: 0, max: 1000, step: 1 }),
          p.budgetHint = element("p", { class: "hint", id: "budget-hint" })),
        element("div", { class: "control" },
          element("div", { class: "top" }, p.keepName = element("label", { for: "keep" }),
            element("span", { class: "with-unit" }, p.auto = switchOf((on) => change("keep", on ? "auto" : "hold")), p.keepValue = element("output", { for: "keep" }))),
          p.keep = element("input", { id: "keep", type: "range", min: 1, max: 100, step: 1, "aria-describedby": "keep-hint" }),
          p.keepHint = element("p", { class: "hint", id: "keep-hint" })),
        element("div", { class: "control" },
          element("div", { class: "top" }, p.recalibrate = element("button", { type: "button", id: "recalibrate", class: "plain busy-space" })),
          p.recalibrateHint = element("p", { class: "hint" }))));
    p.auto.id = "auto";
    p.budget.addEventListener("input", () => { this.#touched.budget = true; });
    p.budget.addEventListener("blur", () => { this.#touched.budget = false; });
    p.budget.addEventListener("change", () => p.budget.reportValidity() && this.#send("budget", Number(p.budget.value)));
    p.budgetRange.addEventListener("input", () => { this.#touched.budget = true; p.budget.value = fromSlider(p.budgetRange.value); this.#valueText(); });
    p.budgetRange.addEventListener("change", () => this.#send("budget", fromSlider(p.budgetRange.value)));
    p.keep.addEventListener("input", () => { this.#touched.keep = true; this.#valueText(); });
    p.keep.addEventListener("change", () => this.#send("keep", p.keep.value / 100));
    p.recalibrate.addEventListener("click", () => this.#recalibrate());
    this.speak();
  }

  // send has a value hold; of those that come while one is on its way the newest goes
  // next, so that a slider that is dragged does not ask too much.
  async #send(key, value) {
    const waits = key in this.#sending;
    this.#sending[key] = value;
    if (waits) return;
    while (this.#sending[key] !== null) {
      const wanted = this.#sending[key];
      this.#sending[key] = null;
      const holds = await this.#change(key, wanted);
      if (holds !== undefined && key === "budget") this.#settings.budget_ms = holds;
      if (holds !== undefined && key === "keep") Object.assign(this.#settings, { keep: holds, auto: false });
      await new Promise((r) => setTimeout(r, 250));
    }
    delete this.#sending[key];
    this.#touched[key] = false;
    this.render();
  }

  async #recalibrate() {
    this.#busy = true;
    this.render();
    await this.#change("recalibrate", true, words("recalibrated"));
    this.#busy = false;
    this.render();
  }

  // lock says whether anything may be changed, and whether there is a token to be had.
  lock(may, token) {
    this.#may = may;
    this.#token = token;
    this.render();
  }

  take(settings) { this.#settings = settings; }

  #valueText() {
    const p = this.#parts;
    say(p.keepValue, percent(p.keep.value / 100));
    mark(p.keep, "aria-valuetext", percent(p.keep.value / 100));
    mark(p.budgetRange, "aria-valuetext", `${milliseconds(fromSlider(p.budgetRange.value))} ms`);
  }

  speak() {
    const p = this.#parts;
    say(p.title, words("controls"));
    say(p.budgetName, words("budget"));
    mark(p.budgetRange, "aria-label", words("budget_slider"));
    say(p.keepName, words("keep"));
    p.auto.named(words("auto"), words("auto_long"));
    say(p.recalibrateHint, words("recalibrate_hint"));
    this.render();
  }

  render() {
    const p = this.#parts, s = this.#settings;
    for (const c of [p.budget, p.budgetRange, p.auto, p.keep]) c.disabled = !this.#may;
    p.recalibrate.disabled = !this.#may || this.#busy;
    mark(p.recalibrate, "aria-busy", this.#busy);
    say(p.recalibrate, words(this.#busy ? "measuring" : "recalibrate"));
    say(p.note, words(this.#may ? "unlocked_note" : this.#token ? "locked_note" : "no_token_note"));
    if (!s) return;
    say(p.budgetHint, words("budget_hint", { percentile: s.percentile }));
    say(p.keepHint, words(s.auto ? "keep_auto_hint" : "keep_hint"));
    p.auto.set(s.auto);
    const idle = (key) => !this.#touched[key] && !(key in this.#sending); // else somebody is at it
    if (idle("budget")) { p.budget.value = s.budget_ms; p.budgetRange.value = toSlider(s.budget_ms); }
    if (idle("keep")) p.keep.value = Math.round(100 * s.keep);
    this.#valueText();
  }
}
