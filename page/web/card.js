// One camera: picture, label, the last hour, figures.

import * as access from "./access.js";
import { Hour, drawTimes } from "./charts.js";
import { switchOf } from "./controls.js";
import { element, mark, say } from "./element.js";
import { Says } from "./says.js";
import { Tokens } from "./tokens.js";
import { milliseconds, number, percent, words } from "./words.js";

const fetchEvery = 150; // milliseconds between two pictures
const fetchLimit = 15000; // that one may take
const reasons = ["busy", "budget", "max_fps", "failed", "source", "motion"];

export class Card {
  #name; #hour = new Hour(); #says; #further = new Map(); #tokens; #view = "all"; #seen = true; #shown = 0; #fetching = false; #abort = new AbortController(); #size; #sight;
  #frame = null; #stats = null; #health = null; #budget = 50; #parts = {}; #stale = false;

  constructor(name, change) {
    this.#name = name;
    const p = this.#parts;
    const id = `camera-${name}`;
    const figure = (key, wide) => element("div", { class: wide ? "wide" : false }, p[`${key}Name`] = element("dt"), p[key] = element("dd", {}, "–"));
    this.element = element("article", { class: "camera panel", "aria-labelledby": id, "data-camera": name },
      element("div", { class: "camera-head" },
        element("h3", { id }, name), p.status = element("p", { class: "pill" }, p.word = element("span")),
        p.enabled = switchOf((on) => change(`camera/${name}/enabled`, on))),
      element("div", { class: "picture" }, p.picture = element("canvas", { role: "img" }), p.why = element("p", { class: "why" })),
      p.says = element("div", {}, (this.#says = new Says(name, this.#hour)).element),
      element("figure", { class: "chart times" },
        element("figcaption", {}, p.timesName = element("span"), p.timesNote = element("span")),
        p.times = element("canvas", { role: "img" }),
        element("div", { class: "axis", "aria-hidden": "true" }, p.ago = element("span"), p.now = element("span"))),
      element("dl", { class: "figures" },
        figure("frame"), figure("model"), figure("age"), figure("keep"), figure("fps"), figure("drops"), figure("tokens", true), figure("engine", true)),
      element("details", {}, p.more = element("summary"),
        element("table", {}, p.topName = element("caption"), p.top = element("tbody")),
        element("table", {}, p.dropsTable = element("caption"), p.reasons = element("tbody"))));
    this.#tokens = new Tokens(p.picture);
    this.#size = new ResizeObserver(() => this.#charts());
    this.#size.observe(this.element);
    this.#sight = new IntersectionObserver((list) => { this.#seen = list.at(-1).isIntersecting; this.#fetch(); }, { rootMargin: "200px" });
    this.#sight.observe(this.element);
    this.speak();
  }

  remove() {
    this.#abort.abort();
    this.#size.disconnect();
    this.#sight.disconnect();
    this.element.remove();
  }

  // restart forgets what an earlier run of the daemon showed.
  restart() {
    for (const says of this.#all) says.clear();
    this.#shown = 0;
  }

  get #all() { return [this.#says, ...this.#further.values()]; }

  // models has a part for each model that looks at the camera; none where there is one.
  models(names) {
    const further = names.slice(1);
    this.#says.named(further.length > 0 ? names[0] : "");
    for (const [name, says] of this.#further) if (!further.includes(name)) { says.element.remove(); this.#further.delete(name); }
    for (const name of further) {
      if (!this.#further.has(name)) this.#further.set(name, new Says(this.#name, new Hour(), name));
      this.#parts.says.append(this.#further.get(name).element); // in their order
    }
  }

  // view shows the picture otherwise: 0, a stage, or "all".
  view(view) {
    this.#view = view;
    this.#tokens.draw(view);
  }

  take(event, payload, budget) {
    this.#budget = budget;
    if (event === "frame") { this.#frame = payload; this.#says.take(payload); this.#fetch(); }
    if (event === "model") this.#further.get(payload.model)?.take(payload.frame);
    if (event === "history") {
      (payload.model ? this.#further.get(payload.model) : this.#says)?.hour.take(payload);
      this.#charts();
    }
    if (event === "stats") this.#stats = payload;
    if (event === "health") this.#health = payload;
  }

  // stale says that nothing is heard any more.
  stale(on) { this.#stale = on; }

  lock(may) { this.#parts.enabled.disabled = !may; }

  // speak says all names again, in the language of now.
  speak() {
    const p = this.#parts;
    for (const key of ["frame", "model", "age", "keep", "fps", "drops", "tokens", "engine"]) say(p[`${key}Name`], words(`figure_${key}`));
    for (const says of this.#all) says.speak();
    say(p.timesName, words("times"));
    say(p.ago, words("hour_ago"));
    say(p.now, words("now"));
    say(p.more, words("more"));
    say(p.topName, words("best"));
    say(p.dropsTable, words("drops_by"));
    p.enabled.named(words("enabled"), words("enabled_of", { camera: this.#name }));
    this.#charts();
    this.render();
  }

  // render shows what was taken; it is called once a frame of the screen at most.
  render() {
    const p = this.#parts, f = this.#frame, h = this.#health, word = h?.status ?? "offline";
    mark(this.element, "data-status", word);
    mark(p.status, "data-state", word);
    say(p.word, words(`status_${word}`));
    p.enabled.set(word !== "disabled");
    const waiting = this.#shown === 0 && word === "online" ? words("waiting_picture") : "";
    say(p.why, word === "online" ? waiting : h?.reason ?? words(`status_${word}`));
    if (this.#stats) this.#counts();
    if (f) this.#figures(f);
    for (const says of this.#all) says.render();
    const what = { camera: this.#name, label: f?.label ?? words("nothing"), score: f ? percent(f.score) : "–" };
    mark(p.picture, "aria-label", words(word === "online" ? "picture_of" : "no_picture_of", what));
  }

  #figures(f) {
    const p = this.#parts;
    say(p.frame, `${milliseconds(f.frame_ms)} ms`);
    say(p.model, `${milliseconds(f.latency_ms)} ms`);
    say(p.age, `${milliseconds(f.age_ms)} ms`);
    say(p.keep, percent(f.keep_ratio));
    say(p.tokens, f.tokens.map((n) => number(n)).join(" → "));
    say(p.engine, `${f.backend} · ${f.precision}`);
    if (p.more.parentElement.open) this.#rows(p.top, f.top.map((t) => [t.label, percent(t.score, 1)]));
  }

  #counts() {
    const p = this.#parts, s = this.#stats;
    say(p.fps, number(s.fps, 1));
    say(p.drops, number(Object.values(s.drops).reduce((a, b) => a + b, 0)));
    if (p.more.parentElement.open) this.#rows(p.reasons, reasons.map((r) => [words(`drops_${r}`), number(s.drops[r])]));
  }

  // rows writes a table, into the rows that are there already.
  #rows(body, list) {
    while (body.rows.length > list.length) body.deleteRow(-1);
    list.forEach(([name, value], i) => {
      const row = body.rows[i] ?? body.appendChild(element("tr", {}, element("th", { scope: "row" }), element("td")));
      say(row.cells[0], name);
      say(row.cells[1], value);
    });
  }

  // charts draws the last hour, and says it.
  #charts() {
    const p = this.#parts;
    if (!p.times.clientWidth) return;
    for (const says of this.#all) says.draw();
    const top = drawTimes(p.times, this.#hour, this.#budget);
    say(p.timesNote, words("times_note", { top: milliseconds(top), budget: milliseconds(this.#budget) }));
    mark(p.times, "aria-label", words("times_of", { camera: this.#name, note: p.timesNote.textContent }));
  }

  // fetch gets the newest picture, where it is looked at; one at a time, so that a slow
  // line has the newest that it can carry.
  async #fetch() {
    if (this.#fetching || !this.#seen || !this.#frame || this.#frame.seq === this.#shown) return;
    this.#fetching = true;
    try {
      const answer = await access.picture(`/page/camera/${this.#name}/picture`, AbortSignal.any([this.#abort.signal, AbortSignal.timeout(fetchLimit)]));
      const of = (name) => answer.headers.get(`Dynvit-${name}`);
      const picture = await createImageBitmap(await answer.blob());
      this.#shown = Number(of("Seq"));
      this.element.dataset.seq = of("Seq");
      this.#tokens.take(picture, of("Survived"), of("Into"), Number(of("Stages")), this.#view);
    } catch {
      await new Promise((r) => setTimeout(r, 1000)); // the stream tells what is wrong
    }
    await new Promise((r) => setTimeout(r, fetchEvery));
    this.#fetching = false;
    if (!this.#abort.signal.aborted && !this.#stale) this.#fetch();
  }
}
