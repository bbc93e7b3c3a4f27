// The stream of events, opened again whenever it breaks. It is read by fetch: an
// EventSource sends no token, and does not notice a line that is dead.

import { headers } from "./access.js";

const silence = 15000; // the daemon says something every five seconds
const first = 500, most = 10000; // pauses between attempts
const hiddenFor = 5000; // a tab that nobody looks at costs nothing after so long

// Stream calls hear(event, payload) and turn(state, why), state being one of waiting,
// live, again, denied, paused.
export class Stream {
  #hear; #turn; #abort = null; #pause = first; #timer = 0; #hiding = 0; #paused = false; #closed = false;

  constructor(hear, turn) {
    this.#hear = hear;
    this.#turn = turn;
    document.addEventListener("visibilitychange", () => this.#look());
    addEventListener("online", () => this.restart());
    addEventListener("pagehide", () => this.#end());
    addEventListener("pageshow", (e) => e.persisted && this.restart());
    this.#turn("waiting");
    this.#open();
  }

  // restart opens it at once, by the token that is had now.
  restart() {
    this.#pause = first;
    this.#end();
    this.#open();
  }

  #look() {
    clearTimeout(this.#hiding);
    if (document.hidden) {
      this.#hiding = setTimeout(() => { this.#paused = true; this.#end(); this.#turn("paused"); }, hiddenFor);
    } else if (this.#paused) {
      this.#paused = false;
      this.restart();
    }
  }

  #end() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = null;
  }

  async #open() {
    const abort = this.#abort = new AbortController();
    let why = "";
    try {
      const answer = await this.#within(abort, fetch("/page/events", { headers: headers(), cache: "no-store", signal: abort.signal }));
      if (answer.status === 401 || answer.status === 403) {
        const text = (await answer.text()).trim();
        if (abort === this.#abort) this.#turn("denied", text);
        return;
      }
      if (!answer.ok) throw new Error((await answer.text()).trim());
      await this.#read(abort, answer.body.pipeThrough(new TextDecoderStream()).getReader());
    } catch (e) {
      why = e.message;
    }
    if (abort !== this.#abort) return; // ended by us
    abort.abort();
    this.#turn("again", why);
    this.#timer = setTimeout(() => this.#open(), this.#pause * (0.5 + Math.random() / 2));
    this.#pause = Math.min(2 * this.#pause, most);
  }

  async #read(abort, reader) {
    let rest = "";
    for (;;) {
      const { value, done } = await this.#within(abort, reader.read());
      if (done || abort !== this.#abort) return;
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const e of events) this.#take(e);
      if (rest.length > 1 << 22) throw new Error("an event without an end");
    }
  }

  #take(text) {
    const fields = {};
    for (const line of text.split("\n")) {
      const at = line.indexOf(": ");
      if (at > 0) fields[line.slice(0, at)] = line.slice(at + 2);
    }
    if (!fields.event) return;
    this.#pause = first;
    this.#turn("live");
    this.#hear(fields.event, JSON.parse(fields.data));
  }

  // within gives up on what says nothing for too long.
  #within(abort, promise) {
    let timer;
    const silent = new Promise((_, fail) => { timer = setTimeout(() => { abort.abort(); fail(new Error("nothing heard")); }, silence); });
    return Promise.race([promise, silent]).finally(() => clearTimeout(timer));
  }
}
