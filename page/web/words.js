// The page's words: English, which stands for what another language lacks, and one more
// file a language below languages/.

let english = {}, chosen = {}, code = "en";

const stored = "dynvit-language";

async function load(language) {
  const answer = await fetch(`/page/languages/${language}.json`);
  if (!answer.ok) throw new Error(`${language}: ${answer.status}`);
  return answer.json();
}

// wanted is the first of the reader's languages that there is a file of.
function wanted(codes) {
  let kept = null;
  try { kept = localStorage.getItem(stored); } catch { /* not allowed: ask again next time */ }
  const list = [kept, ...navigator.languages].filter(Boolean).map((l) => l.split("-")[0].toLowerCase());
  return list.find((l) => codes.includes(l)) ?? "en";
}

// start loads the words and returns the languages that there are.
export async function start() {
  const list = await (await fetch("/page/languages")).json();
  code = wanted(list.map((l) => l.code));
  [english, chosen] = await Promise.all([load("en"), load(code)]);
  apply();
  return list;
}

// choose speaks another language from now on, also the next time.
export async function choose(language) {
  chosen = await load(language);
  code = language;
  try { localStorage.setItem(stored, language); } catch { /* likewise */ }
  apply();
}

// language is the code of the one that is spoken.
export const language = () => code;

// words is a text by its key, with {names} replaced.
export function words(key, values = {}) {
  const text = chosen[key] ?? english[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

// apply puts the words into what the document says by itself.
function apply() {
  document.documentElement.lang = code;
  for (const e of document.querySelectorAll("[data-words]")) e.textContent = words(e.dataset.words);
}

// number writes a number as the language does.
export function number(value, digits = 0) {
  return new Intl.NumberFormat(code, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

// percent writes a share of 1.
export const percent = (share, digits = 0) => `${number(100 * share, digits)} %`;

// milliseconds writes a time with three significant figures.
export function milliseconds(ms) {
  return number(ms, ms < 10 ? 2 : ms < 100 ? 1 : 0);
}
