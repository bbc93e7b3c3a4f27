// The page: header, token, stream, and views, of which one is seen. A view is a class with
// element, take(event, payload), lock(may, token), stale(on), speak() and show(); it is made
// with what it may do.

import * as access from "./access.js";
import { element, mark, say } from "./element.js";
import { Live } from "./live.js";
import { Stream } from "./stream.js";
import { Teach } from "./teach.js";
import * as lang from "./words.js";

const { words } = lang;
const at = (id) => document.getElementById(id);
let views = {}, stream, may = { change: false, token: true }, state = "waiting", why = "";

// toast shows a message for a while.
function toast(text, bad) {
  const t = element("p", { class: "toast", "data-is": bad ? "bad" : false, role: bad ? "alert" : false }, text);
  at("toasts").append(t);
  while (at("toasts").children.length > 3) at("toasts").firstChild.remove();
  setTimeout(() => t.remove(), bad ? 8000 : 4000);
}

// all tells every view.
const all = (tell) => Object.values(views).forEach(tell);

// change has the daemon do something and returns what holds now; undefined where it does
// not, which it says. done is said where it does.
const change = (name, value, done) => attempt(() => access.command(name, value), done);

// ask has the daemon answer, or do something that is no command, likewise.
const ask = (method, path, body, done) => attempt(() => access.request(method, path, body), done);

async function attempt(act, done) {
  try {
    const holds = await act();
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
  all((v) => v.lock(may.change, may.token));
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
  all((v) => v.stale(next !== "live"));
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
  all((v) => v.speak());
}

function hear(event, payload) {
  if (event === "info") header(payload);
  all((v) => v.take(event, payload));
}

// see shows the view that the address names.
function see() {
  const name = location.hash === "#teach" ? "teach" : "live", view = views[name];
  for (const a of at("views").children) mark(a, "aria-current", a.hash === `#${name}` ? "page" : null);
  if (view.element.isConnected) return;
  at("view").replaceChildren(view.element);
  view.show();
}

async function start() {
  const list = await lang.start();
  at("language").append(...list.map((l) => element("option", { value: l.code, lang: l.code, ".selected": l.code === lang.language() }, l.name)));
  at("language").addEventListener("change", speakOther);
  const deps = { change, ask, unlock, announce: (text) => say(at("spoken"), text) };
  views = { live: new Live(deps), teach: new Teach(deps) };
  addEventListener("hashchange", see);
  see();
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
