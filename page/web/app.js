// The page: header, token, stream, and a view. A view is a class with element, take(event,
// payload), lock(may, token), stale(on) and speak(); it is made with what it may do.

import * as access from "./access.js";
import { element, mark, say } from "./element.js";
import { Live } from "./live.js";
import { Stream } from "./stream.js";
import * as lang from "./words.js";

const { words } = lang;
const at = (id) => document.getElementById(id);
let view, stream, may = { change: false, token: true }, state = "waiting", why = "";

// toast shows a message for a while.
function toast(text, bad) {
  const t = element("p", { class: "toast", "data-is": bad ? "bad" : false, role: bad ? "alert" : false }, text);
  at("toasts").append(t);
  while (at("toasts").children.length > 3) at("toasts").firstChild.remove();
  setTimeout(() => t.remove(), bad ? 8000 : 4000);
}

// change has the daemon do something and returns what holds now; undefined where it does
// not, which it says. done is said where it does.
async function change(name, value, done) {
  try {
    const holds = await access.command(name, value);
    if (done) toast(done);
    return holds;
  } catch (e) {
    toast(e.status === 401 ? words("wrong_token") : e.status ? words("refused", { why: e.message }) : words("not_sent"), true);
    if (e.status === 401) await learn();
    return undefined;
  }
}

// learn asks what may be done here, and shows it.
async function learn() {
  const now = await access.ask();
  if (now.status === 401 && access.has()) { // the token has changed
    access.forget();
    return learn();
  }
  may = now;
  view.lock(may.change, may.token);
  header();
  return may;
}

// unlock asks for the token.
function unlock(reason) {
  say(at("unlock-wrong"), "");
  say(at("unlock-why"), reason ?? words("unlock_why"));
  at("unlock-plain").hidden = location.protocol === "https:" || ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  if (!at("unlock").open) at("unlock").showModal();
}

async function tryToken(event) {
  event.preventDefault();
  const token = at("token").value.trim();
  const answer = token ? await access.ask(token).catch(() => ({})) : { status: 401 };
  if (!answer.change) {
    say(at("unlock-wrong"), answer.status === 401 ? words("wrong_token") : answer.why ?? words("not_sent"));
    at("token").select();
    return;
  }
  access.keep(token, at("remember").checked);
  at("token").value = "";
  at("unlock").close();
  await learn();
  stream.restart();
}

function turn(next, reason = "") {
  if (next === state && reason === why) return;
  const before = state;
  [state, why] = [next, reason];
  view?.stale(next !== "live");
  header();
  if (next === "denied") refused();
  if (next === "live" && before !== "live") learn().catch(() => {});
}

// refused asks for the token where one helps.
async function refused() {
  const now = await access.ask().catch(() => null);
  if (now?.status === 401 && access.has()) { // another token than it was
    access.forget();
    stream.restart();
  } else if (now?.token) unlock(words("unlock_to_read"));
  else toast(why, true);
}

function header(info) {
  if (info) {
    say(at("node"), info.node);
    say(at("engine"), `${info.model} · ${info.backend} ${info.precision} · dynvit ${info.version}`);
    mark(at("engine"), "title", info.backend_why);
    document.title = `${info.node} · dynvit`;
  }
  mark(at("link"), "data-state", state);
  mark(at("link"), "title", why || null);
  say(at("link").firstChild, words(`link_${state}`));
  const key = at("key");
  say(key, words(may.change ? "lock" : "unlock_title"));
  key.hidden = !may.token;
}

async function speakOther(event) {
  await lang.choose(event.target.value);
  header();
  view.speak();
}

function hear(event, payload) {
  if (event === "info") header(payload);
  view.take(event, payload);
}

async function start() {
  const list = await lang.start();
  at("language").append(...list.map((l) => element("option", { value: l.code, lang: l.code, ".selected": l.code === lang.language() }, l.name)));
  at("language").addEventListener("change", speakOther);
  view = new Live({ change, unlock, announce: (text) => say(at("spoken"), text) });
  at("view").append(view.element);
  at("key").addEventListener("click", () => {
    if (!may.change) return unlock();
    access.forget();
    learn();
  });
  at("unlock").querySelector("form").addEventListener("submit", tryToken);
  at("unlock-cancel").addEventListener("click", () => at("unlock").close());
  document.documentElement.dataset.ready = "";
  header();
  stream = new Stream(hear, turn);
}

start();
