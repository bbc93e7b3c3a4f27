// Captured pictures: fetched when they are seen, since an address alone has no token, a few
// at a time; and a grid of them by label, of which some are chosen.

import * as access from "./access.js";
import { element, mark, say } from "./element.js";
import { number, words } from "./words.js";

const atOnce = 4; // so that changes find a connection
const first = 24; // of a label, before more are asked for

export const pathOf = (camera, label, name) => `/page/teach/${encodeURIComponent(camera)}/pictures/${encodeURIComponent(label)}/${encodeURIComponent(name)}`;

const waiting = [];
let running = 0;

async function next() {
  if (running >= atOnce || waiting.length === 0) return;
  const img = waiting.shift();
  if (!img.isConnected) return next();
  running++;
  try {
    const answer = await access.picture(img.dataset.path);
    if (img.src) URL.revokeObjectURL(img.src);
    img.src = URL.createObjectURL(await answer.blob());
    img.addEventListener("load", () => URL.revokeObjectURL(img.src), { once: true });
  } catch {
    mark(img, "data-lost", "");
  }
  running--;
  next();
}

const sight = new IntersectionObserver((list) => {
  for (const { target, isIntersecting } of list) {
    if (!isIntersecting) continue;
    sight.unobserve(target);
    waiting.push(target);
    next();
  }
}, { rootMargin: "200px" });

// thumb is a picture of a path, loaded once it is seen.
export function thumb(path, alt) {
  const img = element("img", { alt, "data-path": path });
  sight.observe(img);
  return img;
}

// Gallery shows the pictures of a camera by label. chosen is a Map of "label/name" to
// {label, name}; turned() is told when it has changed.
export class Gallery {
  #turned; #camera = ""; #labels = new Map(); #all = new Set(); chosen = new Map();

  constructor(turned) {
    this.#turned = turned;
    this.element = element("div", { class: "gallery" });
  }

  // take shows what there is now; what is there already stays.
  take(camera, labels) {
    if (camera !== this.#camera) {
      this.#camera = camera;
      this.#labels.clear();
      this.#all.clear();
      this.chosen.clear();
      this.element.replaceChildren();
    }
    const there = new Set(labels.flatMap((l) => l.pictures.map((p) => `${l.label}/${p.name}`)));
    for (const key of this.chosen.keys()) if (!there.has(key)) this.chosen.delete(key);
    const shown = labels.filter((l) => l.pictures.length > 0);
    for (const [label, part] of this.#labels) if (!shown.some((l) => l.label === label)) { part.box.remove(); this.#labels.delete(label); }
    shown.forEach((l, i) => {
      const part = this.#part(l.label);
      if (this.element.children[i] !== part.box) this.element.insertBefore(part.box, this.element.children[i] ?? null);
      this.#fill(part, l);
    });
    this.#turned();
  }

  speak() {
    for (const part of this.#labels.values()) this.#name(part);
  }

  clear() {
    this.chosen.clear();
    for (const e of this.element.querySelectorAll("[aria-pressed=true]")) mark(e, "aria-pressed", false);
    this.#turned();
  }

  #part(label) {
    if (!this.#labels.has(label)) {
      const part = { label, count: 0, buttons: new Map() };
      part.box = element("section", { class: "label-part", "data-label": label },
        element("h3", {}, part.title = element("span", { class: "one-line" }, label), part.note = element("span", { class: "faint" }),
          part.every = element("button", { type: "button", class: "plain small", onclick: () => this.#every(part) })),
        part.grid = element("div", { class: "thumbs" }),
        part.more = element("button", { type: "button", class: "plain small", onclick: () => { this.#all.add(label); this.#fill(part, part.last); } }));
      this.#labels.set(label, part);
    }
    return this.#labels.get(label);
  }

  // fill shows the newest first.
  #fill(part, l) {
    part.last = l;
    part.count = l.pictures.length;
    const shown = this.#all.has(l.label) ? l.pictures : l.pictures.slice(0, first);
    const names = new Set(shown.map((p) => p.name));
    for (const [name, b] of part.buttons) if (!names.has(name)) { b.remove(); part.buttons.delete(name); }
    shown.forEach((p, i) => {
      if (!part.buttons.has(p.name)) part.buttons.set(p.name, this.#button(l.label, p.name));
      const b = part.buttons.get(p.name);
      if (part.grid.children[i] !== b) part.grid.insertBefore(b, part.grid.children[i] ?? null);
    });
    part.more.hidden = shown.length === part.count;
    this.#name(part);
  }

  #name(part) {
    say(part.note, words(part.count === 1 ? "one_picture" : "pictures", { count: number(part.count) }));
    say(part.every, words("choose_all"));
    mark(part.every, "aria-label", words("choose_all_of", { label: part.label }));
    say(part.more, words("show_all", { count: number(part.count) }));
    for (const [name, b] of part.buttons) mark(b, "aria-label", words("picture_named", { label: part.label, time: timeOf(name) }));
  }

  #button(label, name) {
    const key = `${label}/${name}`;
    const b = element("button", { type: "button", class: "thumb", "aria-pressed": this.chosen.has(key), "data-name": name }, thumb(pathOf(this.#camera, label, name), ""));
    b.addEventListener("click", () => {
      if (!this.chosen.delete(key)) this.chosen.set(key, { label, name });
      mark(b, "aria-pressed", this.chosen.has(key));
      this.#turned();
    });
    return b;
  }

  // every chooses all pictures of a label that are shown, or none if they all are.
  #every(part) {
    const none = [...part.buttons.keys()].every((name) => this.chosen.has(`${part.label}/${name}`));
    for (const [name, b] of part.buttons) {
      const key = `${part.label}/${name}`;
      if (none) this.chosen.delete(key); else this.chosen.set(key, { label: part.label, name });
      mark(b, "aria-pressed", !none);
    }
    this.#turned();
  }
}

// timeOf is when a picture was taken, as its name says.
export function timeOf(name) {
  const m = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)/.exec(name);
  return m ? `${m[1]}-${m[2]}-${m[3]} ${m[4]}:${m[5]}:${m[6]}` : name;
}
