// The token: kept for this tab, or on this device where that is wanted, and sent with
// every request. It is in no address and in no cookie, so that no other site's page can
// have it sent.

const stored = "dynvit-token";
let token = null;

try { token = sessionStorage.getItem(stored) ?? localStorage.getItem(stored); } catch { /* kept in memory alone */ }

// headers are those of a request.
export const headers = () => (token ? { Authorization: `Bearer ${token}` } : {});

// has reports whether there is a token to send.
export const has = () => token !== null;

// keep sends a token from now on.
export function keep(value, remember) {
  token = value;
  try {
    sessionStorage.setItem(stored, value);
    if (remember) localStorage.setItem(stored, value);
  } catch { /* likewise */ }
}

// forget sends none any more.
export function forget() {
  token = null;
  try { sessionStorage.removeItem(stored); localStorage.removeItem(stored); } catch { /* likewise */ }
}

// ask says what may be done: {read, change, token, why}. trial is a token to be tried.
export async function ask(trial = token) {
  const answer = await fetch("/page/access", { headers: trial ? { Authorization: `Bearer ${trial}` } : {}, cache: "no-store" });
  if (answer.ok) return { read: true, status: answer.status, ...(await answer.json()) };
  return { read: false, change: false, token: answer.status !== 403, status: answer.status, why: (await answer.text()).trim() };
}

// send has the daemon answer, or throws why not.
async function send(method, path, body) {
  const answer = await fetch(path, { method, headers: { ...headers(), "Content-Type": "application/json" }, cache: "no-store", body: JSON.stringify(body) });
  if (answer.ok) return answer.json();
  const text = await answer.text(), json = answer.headers.get("Content-Type") === "application/json";
  throw Object.assign(new Error(json ? JSON.parse(text).error : text.trim()), { status: answer.status, after: Number(answer.headers.get("Retry-After") ?? 1) });
}

// command has the daemon do something and returns what holds now, or throws why not.
export async function command(name, value) { return (await send("POST", `/page/cmd/${name}`, value)).value; }

// request has the daemon answer, or do something that is no command; too much at once is
// asked again. It throws why not.
export async function request(method, path, body) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await send(method, path, body);
    } catch (e) {
      if (e.status !== 429 || attempt === 9) throw e;
      await new Promise((r) => setTimeout(r, 1000 * e.after));
    }
  }
}

// picture is the answer with one, or throws where there is none.
export async function picture(path, signal) {
  const answer = await fetch(path, { headers: headers(), cache: "no-store", signal });
  if (!answer.ok) throw new Error(answer.status);
  return answer;
}
