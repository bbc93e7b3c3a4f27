// The teach view: capture pictures into labels, correct them, train, put in force, undo.

import * as access from "./access.js";
import { element, mark, say } from "./element.js";
import { Gallery, pathOf } from "./pictures.js";
import { report } from "./report.js";
import { number, percent, words } from "./words.js";

const lookEvery = 1000; // milliseconds, while pictures are taken
const pictureEvery = 400;

export class Teach {
  #deps; #parts = {}; #gallery; #may = [false, true]; #camera = ""; #names = []; #settings = {}; #said = new Map(); #data = null; #news = null; #taking = null; #busy = false; #off = false; #ever = false;
  #loading = false; #again = false; #shown = ""; #seq = 0; #seen = 0; #peeking = false; #frame = null; #timer = 0;

  // deps: change(command, value, done), ask(method, path, body, done), unlock(), announce(text).
  constructor(deps) {
    this.#deps = deps;
    const p = this.#parts;
    this.#gallery = new Gallery(() => this.#chosen());
    const button = (key, id, cls, act) => p[key] = element("button", { type: "button", id, class: cls, onclick: act });
    this.element = element("div", { class: "teach" },
      element("section", { class: "panel pad locked", "aria-labelledby": "teach-locked" }, p.lockedTitle = element("h2", { id: "teach-locked" }), p.lockedWhy = element("p"),
        button("unlock", "teach-unlock", "main", () => deps.unlock())),
      element("section", { class: "panel pad", "aria-labelledby": "capture-title" },
        element("div", { class: "split" },
          element("div", { class: "picture" }, p.picture = element("img", { alt: "" }), p.now = element("p", { class: "now one-line" }), p.others = element("div")),
          element("div", { class: "stack" },
            p.captureTitle = element("h2", { id: "capture-title" }),
            p.captureWhy = element("p", { class: "faint" }),
            element("div", { class: "field" }, p.cameraName = element("label", { for: "teach-camera" }), p.cameras = element("select", { id: "teach-camera", onchange: () => this.#turn(p.cameras.value) })),
            p.form = element("form", { class: "fields" },
              element("div", { class: "field" }, p.labelName = element("label", { for: "label" }), p.label = element("input", { id: "label", type: "text", list: "labels", maxlength: 100, required: true, autocomplete: "off", "aria-describedby": "label-hint" }),
                p.labels = element("datalist", { id: "labels" })),
              element("div", { class: "field few" }, p.countName = element("label", { for: "count" }), p.count = element("input", { id: "count", type: "number", min: 1, max: 1000, value: 30, required: true })),
              element("div", { class: "field few" }, p.everyName = element("label", { for: "every" }), p.every = element("input", { id: "every", type: "number", min: 0, max: 3600, step: "any", value: 2, required: true })),
              element("div", { class: "row" }, p.capture = element("button", { type: "submit", id: "capture", class: "main busy-space" }), button("stop", "stop", "plain", () => this.#stop()))),
            p.labelHint = element("p", { class: "hint", id: "label-hint" }),
            p.taken = element("p", { class: "taken", role: "status" })))),
      element("section", { class: "panel pad", "aria-labelledby": "train-title" },
        element("div", { class: "panel-head" }, p.trainTitle = element("h2", { id: "train-title" }),
          element("label", { class: "check" }, p.whole = element("input", { type: "checkbox", id: "whole", "aria-describedby": "whole-hint" }), p.wholeName = element("span")), button("train", "train", "main busy-space", () => this.#train()), button("cancel", "cancel", "plain", () => this.#cancel())),
        p.wholeHint = element("p", { class: "hint", id: "whole-hint" }),
        p.progress = element("progress", { id: "progress", max: 1, value: 0 }),
        p.trainNote = element("p", { class: "hint", id: "train-note", role: "status" }),
        element("div", { class: "force" },
          p.inForce = element("p", { id: "in-force" }),
          button("put", "put", "main", () => this.#put()), button("undo", "undo", "plain", () => this.#undo())),
        p.forceNote = element("p", { class: "hint" }),
        p.report = element("div")),
      element("section", { class: "panel pad", "aria-labelledby": "pictures-title" },
        element("div", { class: "panel-head" }, p.picturesTitle = element("h2", { id: "pictures-title" }), p.room = element("p", { class: "faint" })),
        element("div", { class: "chosen", role: "group", "aria-labelledby": "chosen-count" }, p.chosen = element("p", { id: "chosen-count" }),
          p.toName = element("label", { class: "hidden", for: "move-to" }), p.to = element("input", { id: "move-to", type: "text", list: "labels", maxlength: 100, autocomplete: "off" }),
          button("move", "move", "plain", () => this.#correct((c) => this.#moveOne(c, p.to.value.trim()))), button("remove", "remove", "plain", () => this.#correct((c) => this.#removeOne(c)))),
        this.#gallery.element, p.empty = element("p", { class: "faint" })));
    p.form.addEventListener("submit", (e) => { e.preventDefault(); this.#capture(); });
    p.to.addEventListener("input", () => this.#chosen());
    this.speak();
    this.render();
  }

  get #path() { return `/page/teach/${encodeURIComponent(this.#camera)}`; }

  // show is called when the view is seen.
  show() { this.#load(); this.#peek(); }

  take(event, payload) {
    if (event === "settings") {
      this.#settings = payload.cameras;
      this.#list(Object.keys(payload.cameras).sort());
      this.#further();
    }
    if (event === "model" && payload.frame.camera === this.#camera) {
      this.#said.set(payload.model, payload.frame);
      this.#further();
    }
    if (event === "frame" && payload.camera === this.#camera) {
      this.#frame = payload;
      this.#seq = payload.seq;
      this.#peek();
      this.#label();
    }
    if (event === "teach") this.#hear(payload);
  }

  stale() {}

  lock(may, token) {
    this.#may = [may, token];
    if (!may) { this.#data = null; this.#shown = ""; this.#parts.report.replaceChildren(); this.#gallery.take("", []); }
    this.render();
    if (may) this.#load();
  }

  speak() {
    const p = this.#parts;
    for (const [e, text] of [
      [p.lockedTitle, words("teach_title")], [p.unlock, words("unlock_title")],
      [p.captureTitle, words("capture_title")], [p.captureWhy, words("capture_why")], [p.cameraName, words("camera")], [p.labelName, words("label")],
      [p.countName, words("count")], [p.everyName, words("every")], [p.labelHint, words("label_hint")], [p.stop, words("stop")],
      [p.trainTitle, words("train_title")], [p.wholeName, words("whole")], [p.wholeHint, words("whole_hint")], [p.cancel, words("cancel")], [p.put, words("put_in_force")], [p.undo, words("undo")],
      [p.picturesTitle, words("captured")], [p.toName, words("move_to_label")], [p.move, words("move")], [p.remove, words("remove")], [p.empty, words("no_pictures")],
    ]) say(e, text);
    mark(p.to, "placeholder", words("move_to_label"));
    this.#gallery.speak();
    this.#shown = "";
    this.render();
  }

  #list(names) {
    if (names.join() === this.#names.join()) return;
    this.#names = names;
    this.#parts.cameras.replaceChildren(...names.map((n) => element("option", { value: n }, n)));
    this.#turn(names.includes(this.#camera) ? this.#camera : names[0] ?? "");
  }

  #turn(camera) {
    this.#parts.cameras.value = camera;
    if (camera === this.#camera) return;
    this.#camera = camera;
    this.#data = this.#frame = null;
    this.#said.clear();
    this.#further();
    this.#seq = this.#seen = 0;
    this.#shown = "";
    this.#parts.picture.removeAttribute("src");
    this.render();
    this.#load();
  }

  // hear learns how a lesson goes, and asks for what has come of it.
  #hear(news) {
    const before = JSON.stringify([this.#news?.cameras[this.#camera], Boolean(this.#news?.running)]);
    this.#news = news;
    if (before !== JSON.stringify([news.cameras[this.#camera], Boolean(news.running)])) this.#load();
    this.render();
  }

  // load asks for what there is, once more where it is asked meanwhile.
  async #load() {
    if (!this.#may[0] || !this.#camera || !this.element.isConnected) return;
    if (this.#loading) { this.#again = true; return; }
    this.#loading = true;
    do {
      this.#again = false;
      const camera = this.#camera, data = await this.#deps.ask("GET", this.#path);
      if (this.#off !== (!data && !this.#ever)) { this.#off = !data; this.render(); }
      if (data && camera === this.#camera && this.#may[0]) {
        this.#data = data;
        this.#ever = true;
        this.#gallery.take(camera, data.labels);
        this.#progressOfTaking();
        this.render();
      }
    } while (this.#again);
    this.#loading = false;
  }

  // peek shows the newest picture of the camera.
  async #peek() {
    if (this.#peeking || !this.element.isConnected || document.hidden || this.#seq === this.#seen) return;
    this.#peeking = true;
    const camera = this.#camera;
    try {
      const answer = await access.picture(`/page/camera/${camera}/picture`, AbortSignal.timeout(15000));
      const url = URL.createObjectURL(await answer.blob()), img = this.#parts.picture;
      if (camera === this.#camera) {
        this.#seen = Number(answer.headers.get("Dynvit-Seq"));
        img.addEventListener("load", () => URL.revokeObjectURL(url), { once: true });
        img.src = url;
      }
    } catch { /* the stream tells what is wrong */ }
    await new Promise((r) => setTimeout(r, pictureEvery));
    this.#peeking = false;
  }

  #label() {
    const f = this.#frame, p = this.#parts;
    const what = { camera: this.#camera, label: f?.label ?? words("nothing"), score: f ? percent(f.score) : "–" };
    say(p.now, f ? `${what.label} · ${what.score} · ${f.model}` : words("waiting_picture"));
    mark(p.picture, "alt", words("now_of", what));
  }

  // further says what the camera's further models say, in their order.
  #further() {
    const names = this.#settings[this.#camera]?.models?.slice(1) ?? [], box = this.#parts.others;
    while (box.children.length > names.length) box.lastChild.remove();
    names.forEach((name, i) => {
      const f = this.#said.get(name), line = box.children[i] ?? box.appendChild(element("p", { class: "now one-line" }));
      say(line, `${f ? `${f.label ?? words("nothing")} · ${percent(f.score)}` : "–"} · ${name}`);
    });
  }

  async #capture() {
    const p = this.#parts, label = p.label.value.trim();
    const order = await this.#deps.change(`camera/${this.#camera}/capture`, { value: { label, count: Number(p.count.value), every: `${p.every.value}s` } });
    if (!order) return;
    this.#taking = { camera: this.#camera, label, count: order.count, had: this.#count(label), taken: 0, at: performance.now(), patience: 15000 + 3000 * Number(p.every.value) };
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#load(), lookEvery);
    this.render();
  }

  async #stop() {
    if (await this.#deps.change(`camera/${this.#taking?.camera ?? this.#camera}/capture`, false) === undefined) return;
    this.#over();
  }

  #over() {
    clearInterval(this.#timer);
    this.#taking = null;
    this.render();
    setTimeout(() => this.#load(), lookEvery); // the last one is on its way to the disk
  }

  #count(label) { return this.#data?.labels.find((l) => l.label === label)?.pictures.length ?? 0; }

  #progressOfTaking() {
    const t = this.#taking;
    if (!t || t.camera !== this.#camera) return;
    const taken = this.#count(t.label) - t.had;
    if (taken !== t.taken) Object.assign(t, { taken, at: performance.now() });
    if (taken >= t.count || performance.now() - t.at > t.patience) {
      this.#deps.announce(words("took", { count: number(taken), label: t.label }));
      this.#over();
    }
  }

  async #train() {
    if (await this.#deps.ask("POST", `${this.#path}/lesson`, { whole: this.#parts.whole.checked })) this.#load();
  }

  async #cancel() { await this.#deps.ask("DELETE", `${this.#path}/lesson`); }

  async #put() {
    const d = this.#data;
    await this.#during(() => this.#deps.ask("POST", `${this.#path}/model`, { model: d.result.model, instead_of: d.model }, words("is_in_force", { model: d.result.model })));
  }

  async #undo() {
    await this.#during(() => this.#deps.ask("DELETE", `${this.#path}/model`, undefined, words("undone", { model: this.#data.model })));
  }

  async #during(act) {
    this.#busy = true;
    this.render();
    await act();
    this.#busy = false;
    await this.#load();
    this.render();
  }

  #moveOne(c, label) { return this.#deps.ask("POST", pathOf(this.#camera, c.label, c.name), { label }); }
  #removeOne(c) { return this.#deps.ask("DELETE", pathOf(this.#camera, c.label, c.name)); }

  // correct does something to all that is chosen, and stops at what fails.
  async #correct(each) {
    const list = [...this.#gallery.chosen.values()];
    this.#gallery.clear();
    for (const c of list) if (!await each(c)) break;
    this.#load();
  }

  #chosen() {
    const p = this.#parts, n = this.#gallery.chosen.size;
    say(p.chosen, words("chosen", { count: number(n) }));
    p.remove.disabled = n === 0;
    p.move.disabled = n === 0 || p.to.value.trim() === "";
  }

  render() {
    const p = this.#parts, d = this.#data, [may, token] = this.#may, running = this.#news?.running ?? null;
    mark(this.element, "data-locked", may && !this.#off ? null : "");
    mark(this.element, "data-waiting", may && !this.#off && !this.#ever ? "" : null); // all comes at once
    say(p.lockedWhy, words(may ? "teach_off" : token ? "teach_locked" : "no_token_note"));
    p.unlock.hidden = may || !token;
    this.#label();
    const taking = this.#taking?.camera === this.#camera ? this.#taking : null;
    say(p.capture, words(taking ? "capturing" : "capture"));
    p.capture.disabled = Boolean(taking);
    mark(p.capture, "aria-busy", Boolean(taking));
    p.stop.disabled = !taking;
    say(p.taken, taking ? words("taken", { taken: number(Math.max(0, taking.taken)), count: number(taking.count), label: taking.label }) : "");
    this.#lesson(running);
    if (!d) return;
    const labels = d.labels.map((l) => l.label);
    if (labels.join("/") !== [...p.labels.options].map((o) => o.value).join("/")) p.labels.replaceChildren(...labels.map((l) => element("option", { value: l })));
    say(p.room, words("room", { used: number(d.bytes / 2 ** 20, 1), most: number(d.most_bytes / 2 ** 20) }));
    p.empty.hidden = d.bytes > 0;
    this.#force(d);
    const shown = JSON.stringify([this.#camera, d.result?.at, d.labels.map((l) => l.pictures.length)]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const there = (label, name) => d.labels.some((l) => l.label === label && l.pictures.some((x) => x.name === name));
    const correct = (act) => async (picture, label) => { await act(picture, label); this.#load(); };
    p.report.replaceChildren(...(d.result ? [report(this.#camera, d.result, { there, move: correct((c, l) => this.#moveOne(c, l)), remove: correct((c) => this.#removeOne(c)) })] : []));
  }

  // lesson shows how far one is.
  #lesson(running) {
    const p = this.#parts, ours = running?.camera === this.#camera, filled = this.#data?.labels.filter((l) => l.pictures.length >= 2).length ?? 0;
    say(p.train, words(ours ? "training" : "train"));
    mark(p.train, "aria-busy", ours);
    p.train.disabled = Boolean(running) || filled < 2;
    p.cancel.disabled = !ours;
    p.progress.value = ours ? share(running) : 0;
    mark(p.progress, "aria-label", words("train_title"));
    mark(p.progress, "data-off", ours ? null : "");
    const failed = this.#data?.failed;
    say(p.trainNote, ours ? words(`phase_${running.phase}`, { done: number(running.done), total: number(running.total), left: number(running.left_s) })
      : running ? words("other_lesson", { camera: running.camera }) : failed === "cancelled" ? words("cancelled") : failed ? words("lesson_failed", { why: failed }) : filled < 2 ? words("want_two") : words("ready_to_train"));
  }

  #force(d) {
    const p = this.#parts, now = d.in_force?.model ?? d.model;
    say(p.inForce, words(d.in_force ? "in_force_taught" : "in_force_configured", { model: now }));
    p.put.disabled = this.#busy || d.several || !d.result || d.result.model === d.in_force?.model;
    p.undo.disabled = this.#busy || !d.in_force;
    mark(p.put, "aria-busy", this.#busy);
    say(p.forceNote, d.several ? words("several_note", { camera: d.camera }) : d.in_force ? words("undo_note", { model: d.in_force.instead_of }) : !d.result ? words("nothing_taught") :
      words(d.named ? "named_note" : "put_note", { model: d.model, taught: d.result.model }));
  }
}

// share is how far a lesson is as a whole: looking at pictures takes most of it.
function share(running) {
  const part = running.total ? running.done / running.total : 0;
  return running.phase === "pictures" ? 0.85 * part : running.phase === "folds" ? 0.85 + 0.15 * part : 0;
}
