// A picture as the model saw it, with the tokens dimmed that it dropped, and those that it
// merged in the mean of their colours.

const side = 448; // pixels of the canvas

// Tokens draws one camera's picture.
export class Tokens {
  #context; #picture = null; #survived = []; #into = null; #stages = 0; #grid = 0; #colours = null;

  constructor(canvas) {
    canvas.width = canvas.height = side;
    this.#context = canvas.getContext("2d", { alpha: false });
  }

  // take shows another picture; survived has a digit a patch, the stages that it outlived, and
  // into a number a patch, the one that it was merged into; null where none are.
  take(picture, survived, into, stages, view) {
    this.#picture?.close();
    this.#picture = picture;
    this.#survived = Array.from(survived, (digit) => parseInt(digit, 36));
    const patches = survived.length, width = into ? into.length / patches : 0;
    this.#into = into ? this.#survived.map((_, i) => parseInt(into.slice(i * width, (i + 1) * width), 36)) : null;
    this.#stages = stages;
    this.#grid = Math.round(Math.sqrt(patches));
    this.#colours = null;
    this.draw(view);
  }

  get stages() { return this.#stages; }

  // group is the patch that one lives on in after a stage, -1 where that is dropped.
  group(patch, stage) {
    while (this.#survived[patch] < stage) {
      const to = this.#into ? this.#into[patch] : patch;
      if (to === patch) return -1;
      patch = to;
    }
    return patch;
  }

  // draw shows the picture whole (view 0), after one stage, or (view "all") the darker
  // the earlier a token was dropped.
  draw(view) {
    const c = this.#context;
    if (!this.#picture) return;
    c.imageSmoothingQuality = "high";
    c.drawImage(this.#picture, 0, 0, side, side);
    const last = view === "all" ? this.#stages : Math.min(view, this.#stages);
    if (last < 1) return;
    const groups = this.#survived.map((_, i) => this.group(i, last));
    if (this.#into) this.#fill(groups);
    for (let stage = 1; stage <= last; stage++) {
      const darkness = view === "all" ? 0.84 - 0.5 * ((stage - 1) / this.#stages) : 0.82;
      this.#dim((i) => this.group(i, stage) < 0 && this.group(i, stage - 1) >= 0, darkness);
    }
    if (this.#into) this.#outline(groups, "rgb(10 14 20 / .75)");
    this.#outline(groups.map((to) => to >= 0), "rgb(255 255 255 / .85)");
  }

  // fill gives the patches of a group the mean of their colours.
  #fill(groups) {
    const members = new Map();
    groups.forEach((to, i) => { if (to >= 0) (members.get(to) ?? members.set(to, []).get(to)).push(i); });
    this.#colours ??= this.#means();
    for (const patches of members.values()) {
      const mean = [0, 1, 2].map((of) => Math.round(patches.reduce((sum, i) => sum + this.#colours[3 * i + of], 0) / patches.length));
      this.#context.fillStyle = `rgb(${mean.join(" ")})`;
      this.#context.fill(this.#cells(patches));
    }
  }

  // means are the colours of the patches, each the mean of its pixels.
  #means() {
    const n = this.#picture.width, cell = n / this.#grid, means = new Float64Array(3 * this.#survived.length), c = new OffscreenCanvas(n, n).getContext("2d", { willReadFrequently: true });
    c.drawImage(this.#picture, 0, 0);
    const pixels = c.getImageData(0, 0, n, n).data;
    for (let y = 0; y < n; y++) {
      for (let x = 0; x < n; x++) {
        const patch = Math.floor(y / cell) * this.#grid + Math.floor(x / cell);
        for (let of = 0; of < 3; of++) means[3 * patch + of] += pixels[4 * (y * n + x) + of] / (cell * cell);
      }
    }
    return means;
  }

  #dim(dropped, darkness) {
    const c = this.#context, cells = this.#cells([...this.#survived.keys()].filter(dropped));
    c.globalCompositeOperation = "saturation";
    c.fillStyle = "hsl(0 0% 50%)";
    c.fill(cells);
    c.globalCompositeOperation = "source-over";
    c.fillStyle = `rgb(10 14 20 / ${darkness})`;
    c.fill(cells);
  }

  #cells(patches) {
    const path = new Path2D(), grid = this.#grid, cell = side / grid;
    for (const i of patches) path.rect((i % grid) * cell, Math.floor(i / grid) * cell, cell, cell);
    return path;
  }

  // outline draws lines between patches of which something is not the same; there is nothing
  // beyond the picture.
  #outline(of, colour) {
    const grid = this.#grid, cell = side / grid, path = new Path2D();
    const what = (x, y) => x >= 0 && y >= 0 && x < grid && y < grid && of[y * grid + x];
    for (let y = 0; y <= grid; y++) {
      for (let x = 0; x <= grid; x++) {
        if (what(x, y) !== what(x - 1, y)) { path.moveTo(x * cell, y * cell); path.lineTo(x * cell, (y + 1) * cell); }
        if (what(x, y) !== what(x, y - 1)) { path.moveTo(x * cell, y * cell); path.lineTo((x + 1) * cell, y * cell); }
      }
    }
    const c = this.#context;
    c.strokeStyle = colour;
    c.lineWidth = 1.5;
    c.stroke(path);
  }
}
