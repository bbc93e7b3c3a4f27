// The live view: readings, controls, cameras.

import { Card } from "./card.js";
import { Controls } from "./controls.js";
import { element, mark, say } from "./element.js";
import { milliseconds, number, percent, words } from "./words.js";

const readings = ["time", "keep", "rate", "temperature", "memory", "broker"];

export class Live {
  #change; #parts = {}; #controls; #cards = new Map(); #view = "all"; #stages = 0; #latest = {}; #may = [false, true]; #drawing = 0; #spoken = 0;

  // deps: change(command, value, done), unlock(), announce(text).
  constructor(deps) {
    this.#change = deps;
    this.#controls = new Controls(deps.change, deps.unlock);
    const p = this.#parts;
    const reading = (key) => p[key] = element("div", { class: "reading" }, element("dt"), element("dd", {}, "–"), element("dd", { class: "note" }));
    this.element = element("div", {},
      element("section", { "aria-labelledby": "readings-title" },
        p.readingsTitle = element("h2", { class: "hidden", id: "readings-title" }),
        element("dl", { class: "readings panel" }, ...readings.map(reading))),
      this.#controls.element,
      element("section", { "aria-labelledby": "cameras-title" },
        element("div", { class: "cameras-head" }, p.camerasTitle = element("h2", { id: "cameras-title" }),
          p.stages = element("fieldset", { class: "stages" }, p.stagesName = element("legend", { class: "hidden" }))),
        p.cameras = element("div", { class: "cameras" })));
    this.speak();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.speak());
  }

  // show is called when the view is seen: nothing is to be done.
  show() {}

  // take hears an event of the stream.
  take(event, payload) {
    const before = this.#latest[event];
    this.#latest[event] = payload;
    const budget = this.#latest.settings?.budget_ms ?? 50;
    switch (event) {
      case "info":
        if (before && before.boot_id !== payload.boot_id) for (const c of this.#cards.values()) c.restart();
        break;
      case "settings":
        this.#controls.take(payload);
        this.#list(payload.cameras);
        break;
      case "frame":
        this.#stage(payload.tokens.length - 1);
        this.#announce(payload);
        this.#cards.get(payload.camera)?.take(event, payload, budget);
        break;
      case "model":
        this.#cards.get(payload.frame.camera)?.take(event, payload, budget);
        break;
      case "history":
        this.#cards.get(payload.camera)?.take(event, payload, budget);
        break;
      default:
        for (const [name, card] of this.#cards) if (payload.cameras[name]) card.take(event, payload.cameras[name], budget);
    }
    this.#draw();
  }

  // stale says that nothing is heard any more.
  stale(on) {
    mark(this.element, "data-stale", on ? "" : null);
    for (const c of this.#cards.values()) c.stale(on);
  }

  lock(may, token) {
    this.#may = [may, token];
    this.#controls.lock(may, token);
    for (const c of this.#cards.values()) c.lock(may);
  }

  speak() {
    const p = this.#parts;
    say(p.readingsTitle, words("readings"));
    say(p.camerasTitle, words("cameras"));
    say(p.stagesName, words("stages"));
    for (const key of readings) say(p[key].firstChild, words(`reading_${key}`));
    this.#choices();
    this.#controls.speak();
    for (const c of this.#cards.values()) c.speak();
    this.#render();
  }

  // draw renders with the next frame of the screen, however much is heard until then.
  #draw() {
    this.#drawing ||= requestAnimationFrame(() => {
      this.#drawing = 0;
      this.#render();
    });
  }

  #render() {
    this.#readings();
    this.#controls.render();
    for (const c of this.#cards.values()) c.render();
  }

  #readings() {
    const { stats: s, settings: f, health: h } = this.#latest;
    if (f) this.#reading("keep", percent(f.keep), "", words(f.auto ? "keep_auto" : "keep_fixed"));
    if (h) this.#reading("broker", words(h.broker.connected ? "connected" : "away"), "", words("waiting", { events: number(h.outbox.events) }), h.broker.connected ? "good" : "bad");
    if (!s || !f) return;
    const high = s.frame_ms.p95;
    this.#reading("time", high === null ? "–" : milliseconds(high), "ms", words("time_note", { budget: milliseconds(f.budget_ms), median: s.frame_ms.p50 === null ? "–" : milliseconds(s.frame_ms.p50) }), high > f.budget_ms ? "bad" : "good");
    const fps = Object.values(s.cameras).reduce((sum, c) => sum + c.fps, 0);
    this.#reading("rate", number(fps, 1), words("per_second"), s.rate < 1 ? words("slowed", { share: percent(s.rate) }) : words("all_looked"), s.rate < 1 ? "warn" : "good");
    this.#reading("temperature", s.temperature_c === null ? "–" : number(s.temperature_c, 0), "°C", s.temperature_c === null ? words("no_sensor") : words("hottest"), s.temperature_c > 85 ? "bad" : "good");
    this.#reading("memory", number(s.rss_bytes / 2 ** 20), "MiB", words("uptime", { time: this.#uptime(s.uptime_s) }));
  }

  #reading(key, value, unit, note, is = "good") {
    const [, dd, small] = this.#parts[key].children;
    if (dd.childNodes.length !== 2) dd.replaceChildren("", element("small"));
    if (dd.firstChild.data !== value) dd.firstChild.data = value;
    say(dd.lastChild, unit);
    say(small, note);
    mark(small, "title", note);
    mark(this.#parts[key], "data-is", is);
  }

  #uptime(seconds) {
    const h = Math.floor(seconds / 3600), m = Math.floor(seconds / 60) % 60;
    return h >= 48 ? words("days", { days: number(Math.floor(h / 24)) }) : `${h}:${String(m).padStart(2, "0")} h`;
  }

  // list has a card for each camera, in order.
  #list(cameras) {
    for (const [name, card] of this.#cards) if (!cameras[name]) { card.remove(); this.#cards.delete(name); }
    const box = this.#parts.cameras;
    Object.keys(cameras).sort().forEach((name, i) => {
      if (!this.#cards.has(name)) {
        const card = new Card(name, this.#change.change);
        card.view(this.#view);
        card.lock(this.#may[0]);
        this.#cards.set(name, card);
      }
      this.#cards.get(name).models(cameras[name].models ?? []);
      const e = this.#cards.get(name).element;
      if (box.children[i] !== e) box.insertBefore(e, box.children[i] ?? null);
    });
  }

  // stage learns how many stages the model has.
  #stage(stages) {
    if (stages === this.#stages) return;
    this.#stages = stages;
    this.#choices();
  }

  // choices are how pictures are shown: as they are, after a stage, or all stages at once.
  #choices() {
    const box = this.#parts.stages, list = [[0, words("picture")]];
    for (let i = 1; i <= this.#stages; i++) list.push([i, words("stage", { stage: i })]);
    list.push(["all", words("all_stages")]);
    const at = box.contains(document.activeElement) ? document.activeElement.value : null;
    while (box.children.length > 1) box.lastChild.remove();
    for (const [value, text] of list) {
      const input = element("input", { type: "radio", name: "stage", value, ".checked": String(value) === String(this.#view), onchange: () => this.#show(value) });
      box.append(element("label", {}, input, element("span", {}, text)));
      if (at === String(value)) input.focus();
    }
  }

  #show(view) {
    this.#view = view;
    for (const c of this.#cards.values()) c.view(view);
  }

  // announce tells who listens of another label, not oftener than can be spoken.
  #announce(frame) {
    const card = this.#cards.get(frame.camera), now = performance.now();
    if (!card || card.told === frame.label || now - this.#spoken < 3000) return;
    if (card.told !== undefined) {
      this.#spoken = now;
      this.#change.announce(words("announce", { camera: frame.camera, label: frame.label ?? words("nothing") }));
    }
    card.told = frame.label;
  }
}
