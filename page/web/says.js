// What one model says of a camera: label, score, the last hour.

import { colour, drawLabels } from "./charts.js";
import { element, mark, say } from "./element.js";
import { number, percent, words } from "./words.js";

export class Says {
  #camera; #parts = {}; #frame = null; #model;

  // model is named where several look at the camera.
  constructor(camera, hour, model = "") {
    this.#camera = camera;
    this.hour = hour;
    const p = this.#parts;
    this.element = element("div", { class: "model" },
      element("div", { class: "says" },
        p.model = element("p", { class: "model-name one-line" }),
        element("div", { class: "top" }, p.label = element("p", { class: "label" }, "–"), p.score = element("p", { class: "score" }, "–")),
        element("div", { class: "meter" }, p.meter = element("i"))),
      element("figure", { class: "chart" },
        element("figcaption", {}, p.hourName = element("span"), element("span")),
        p.strip = element("canvas", { role: "img" }),
        p.legend = element("ul", { class: "legend" })));
    this.named(model);
    this.speak();
  }

  named(model) {
    this.#model = model;
    say(this.#parts.model, model);
    this.#parts.model.hidden = model === "";
    mark(this.element, "data-model", model === "" ? null : model);
  }

  take(frame) { this.#frame = frame; }

  clear() { this.hour.clear(); }

  speak() { say(this.#parts.hourName, words("last_hour")); }

  render() {
    const p = this.#parts, f = this.#frame;
    if (!f) return;
    say(p.label, f.label ?? words("nothing"));
    mark(p.label, "data-none", f.label === null ? "" : null);
    mark(p.label, "title", f.label);
    say(p.score, percent(f.score, 1));
    p.meter.style.transform = `scaleX(${f.score.toFixed(3)})`;
    mark(p.meter, "class", colour(f.label));
  }

  // draw draws the last hour, and says it.
  draw() {
    const p = this.#parts;
    drawLabels(p.strip, this.hour);
    const named = this.hour.shares().map(([label, minutes]) => [label, label ?? words("nothing"), words("minutes", { minutes: number(minutes, minutes < 10 ? 1 : 0) })]);
    const camera = this.#model ? `${this.#camera}, ${this.#model}` : this.#camera;
    mark(p.strip, "aria-label", words("hour_of", { camera, list: named.map(([, n, m]) => `${n} ${m}`).join(", ") || "–" }));
    while (p.legend.children.length > Math.min(3, named.length)) p.legend.lastChild.remove();
    named.slice(0, 3).forEach(([label, name, minutes], i) => {
      const item = p.legend.children[i] ?? p.legend.appendChild(element("li", {}, element("i"), element("span")));
      mark(item.firstChild, "class", colour(label));
      say(item.lastChild, `${name} ${minutes}`);
    });
  }
}
