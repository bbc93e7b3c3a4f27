// The last hour as strips: which label held, and how long frames took.

const columns = 360; // ten seconds each: an hour

// Hour is one camera's last hour, as the daemon's buckets come in.
export class Hour {
  #buckets = new Map(); #now = 0;

  get now() { return this.#now; }

  // take adds the buckets of an event, the newest of which may change yet.
  take(event) {
    this.#now = event.now;
    event.at.forEach((at, i) => this.#buckets.set(at, {
      label: event.label[i] < 0 ? null : event.labels[event.label[i]],
      score: event.score[i], low: event.p50_ms[i], high: event.p95_ms[i], frames: event.frames[i],
    }));
    for (const at of this.#buckets.keys()) if (at <= this.#now - columns) this.#buckets.delete(at);
  }

  // clear begins anew: the daemon has.
  clear() { this.#buckets.clear(); }

  // columns lists [position 0 to 1, bucket], the oldest first.
  * columns() {
    for (const [at, bucket] of [...this.#buckets].sort((a, b) => a[0] - b[0])) yield [1 - (this.#now - at + 1) / columns, bucket];
  }

  // shares lists [label, minutes], the longest first.
  shares() {
    const sum = new Map();
    for (const [, b] of this.columns()) sum.set(b.label, (sum.get(b.label) ?? 0) + 1 / 6);
    return [...sum].sort((a, b) => b[1] - a[1]);
  }
}

const colours = new Map();

// colour is the class of a label, by the order in which labels are met.
export function colour(label) {
  if (label === null) return "";
  if (!colours.has(label)) colours.set(label, colours.size % 8);
  return `c${colours.get(label)}`;
}

// paint reads a colour of the style sheet: by theme.
const paint = (canvas, name) => getComputedStyle(canvas).getPropertyValue(`--${name}`).trim();

// begin sizes a canvas to what it is shown at, and clears it.
function begin(canvas) {
  const scale = devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight;
  if (canvas.width !== Math.round(w * scale) || canvas.height !== Math.round(h * scale)) {
    canvas.width = Math.round(w * scale);
    canvas.height = Math.round(h * scale);
  }
  const c = canvas.getContext("2d");
  c.setTransform(scale, 0, 0, scale, 0, 0);
  c.clearRect(0, 0, w, h);
  return [c, w, h];
}

// drawLabels draws a column a bucket: the label by its colour, the score by its height.
export function drawLabels(canvas, hour) {
  const [c, w, h] = begin(canvas), width = Math.max(w / columns, 0.7) + 0.3, known = new Map();
  for (const [x, b] of hour.columns()) {
    const name = colour(b.label) || "none";
    if (!known.has(name)) known.set(name, paint(canvas, name));
    c.fillStyle = known.get(name);
    const height = Math.max(2, b.score * h);
    c.fillRect(x * w, h - height, width, height);
  }
}

// drawTimes draws the band from median to 95th percentile, and the budget. It returns
// what the top stands for, in milliseconds.
export function drawTimes(canvas, hour, budget) {
  const [c, w, h] = begin(canvas), all = [...hour.columns()];
  const most = Math.max(...all.map(([, b]) => b.high), 0.1), top = Math.max(1.25 * most, Math.min(1.15 * budget, 6 * most));
  const y = (ms) => h - (Math.min(ms, top) / top) * (h - 2) - 1, width = Math.max(w / columns, 0.7) + 0.3;
  const good = paint(canvas, "accent"), bad = paint(canvas, "bad");
  for (const [x, b] of all) {
    c.fillStyle = b.high > budget ? bad : good;
    c.globalAlpha = 0.35;
    c.fillRect(x * w, y(b.high), width, Math.max(1.5, y(b.low) - y(b.high)));
    c.globalAlpha = 1;
    c.fillRect(x * w, y(b.low) - 1, width, 2);
  }
  if (budget <= top) {
    c.strokeStyle = paint(canvas, "faint");
    c.setLineDash([4, 3]);
    c.beginPath();
    c.moveTo(0, y(budget));
    c.lineTo(w, y(budget));
    c.stroke();
    c.setLineDash([]);
  }
  return top;
}
