// What a lesson came to: accuracy, confusion, doubtful pictures.

import { element, say } from "./element.js";
import { pathOf, thumb, timeOf } from "./pictures.js";
import { number, percent, words } from "./words.js";

const mostShown = 12; // doubtful pictures

// report draws a result. move(picture, label) and remove(picture) correct a doubtful
// picture; there(label, name) says whether it is still there.
export function report(camera, result, { there, move, remove }) {
  const labels = result.classes.map((c) => c.label), [low, high] = result.accuracy_ci95;
  const box = element("div", { class: "report" },
    element("p", { class: "verdict" }, element("strong", { id: "accuracy" }, percent(result.accuracy, 1)), " ",
      words("accuracy_note", { low: percent(low, 0), high: percent(high, 0), pictures: number(result.pictures), scenes: number(result.scenes), seconds: number(result.seconds, 0) })));
  result.notes.forEach((note, i) => box.append(element("p", { class: "note" }, remark(result.remarks?.[i]) ?? note)));
  if (result.skipped > 0) box.append(element("p", { class: "note" }, words("skipped", { count: number(result.skipped) })));
  if (result.expected) box.append(element("p", { class: "faint" }, words("expected", { pictures: number(result.expected.pictures), accuracy: percent(result.expected.accuracy, 1) })));
  box.append(confusion(labels, result.confusion));
  const doubtful = result.doubtful.filter((d) => there(d.label, d.image)).slice(0, mostShown);
  box.append(element("h3", {}, words("doubtful")), element("p", { class: "faint" }, words(doubtful.length ? "doubtful_why" : "none_doubtful")));
  if (doubtful.length) box.append(element("ul", { class: "doubtful" }, ...doubtful.map((d) => doubt(camera, d, move, remove))));
  return box;
}

// remark says a note in the language of now; a result of earlier has none.
function remark(r) {
  return r && words(`remark_${r.kind}`, { label: r.label, share: percent(r.share ?? 0, 1), pictures: number(r.pictures ?? 0), want: number(r.want ?? 0) });
}

// confusion is a table: a row a label, and what its pictures were taken for.
function confusion(labels, rows) {
  const head = element("tr", {}, element("td"), ...labels.map((l) => element("th", { scope: "col" }, l)));
  const body = rows.map((row, i) => element("tr", {}, element("th", { scope: "row" }, labels[i]),
    ...row.map((n, k) => element("td", { class: i === k ? "right" : n > 0 ? "mistaken" : "zero" }, number(n)))));
  return element("div", {}, element("h3", {}, words("confusion")), element("p", { class: "faint", id: "confusion-note" }, words("confusion_note")),
    element("div", { class: "wide-table", tabindex: 0, role: "region", "aria-label": words("confusion") },
      element("table", { class: "confusion", "aria-describedby": "confusion-note" }, element("thead", {}, head), element("tbody", {}, ...body))));
}

function doubt(camera, d, move, remove) {
  const what = { label: d.label, looks: d.looks_like, score: percent(d.score, 0), time: timeOf(d.image) };
  const picture = { label: d.label, name: d.image };
  const to = element("button", { type: "button", class: "plain small", onclick: () => move(picture, d.looks_like) });
  const away = element("button", { type: "button", class: "plain small", "aria-label": words("remove_named", what), onclick: () => remove(picture) });
  say(to, words("move_to", { label: d.looks_like }));
  say(away, words("remove"));
  return element("li", {}, thumb(pathOf(camera, d.label, d.image), words("picture_named", what)),
    element("p", {}, words("doubt", what)), element("div", { class: "row" }, to, away));
}
