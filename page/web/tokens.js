// A picture as the model saw it, with the tokens dimmed that it dropped.

const side = 448; // pixels of the canvas

// Tokens draws one camera's picture.
export class Tokens {
  #context; #picture = null; #survived = ""; #stages = 0;

  constructor(canvas) {
    canvas.width = canvas.height = side;
    this.#context = canvas.getContext("2d", { alpha: false });
  }

  // take shows another picture; survived has a digit a patch, the stages that it outlived.
  take(picture, survived, stages, view) {
    this.#picture?.close();
    this.#picture = picture;
    this.#survived = survived;
    this.#stages = stages;
    this.draw(view);
  }

  get stages() { return this.#stages; }

  // draw shows the picture whole (view 0), after one stage, or (view "all") the darker
  // the earlier a token was dropped.
  draw(view) {
    const c = this.#context;
    if (!this.#picture) return;
    c.imageSmoothingQuality = "high";
    c.drawImage(this.#picture, 0, 0, side, side);
    if (view === "all") {
      for (let stage = 1; stage <= this.#stages; stage++) {
        this.#dim((n) => n === stage - 1, 0.84 - 0.5 * ((stage - 1) / Math.max(1, this.#stages)));
      }
      this.#outline(this.#stages);
    } else if (view > 0) {
      const stage = Math.min(view, this.#stages);
      this.#dim((n) => n < stage, 0.82);
      this.#outline(stage);
    }
  }

  #dim(dropped, darkness) {
    const c = this.#context, cells = this.#cells(dropped);
    c.globalCompositeOperation = "saturation";
    c.fillStyle = "hsl(0 0% 50%)";
    c.fill(cells);
    c.globalCompositeOperation = "source-over";
    c.fillStyle = `rgb(10 14 20 / ${darkness})`;
    c.fill(cells);
  }

  #cells(dropped) {
    const path = new Path2D(), grid = Math.round(Math.sqrt(this.#survived.length)), cell = side / grid;
    for (let i = 0; i < this.#survived.length; i++) {
      if (dropped(parseInt(this.#survived[i], 36))) path.rect((i % grid) * cell, Math.floor(i / grid) * cell, cell, cell);
    }
    return path;
  }

  // outline draws a line between what is left after a stage and what is not.
  #outline(stage) {
    const grid = Math.round(Math.sqrt(this.#survived.length)), cell = side / grid, path = new Path2D();
    const kept = (x, y) => x >= 0 && y >= 0 && x < grid && y < grid && parseInt(this.#survived[y * grid + x], 36) >= stage;
    for (let y = 0; y <= grid; y++) {
      for (let x = 0; x <= grid; x++) {
        if (kept(x, y) !== kept(x - 1, y)) { path.moveTo(x * cell, y * cell); path.lineTo(x * cell, (y + 1) * cell); }
        if (kept(x, y) !== kept(x, y - 1)) { path.moveTo(x * cell, y * cell); path.lineTo((x + 1) * cell, y * cell); }
      }
    }
    const c = this.#context;
    c.strokeStyle = "rgb(255 255 255 / .85)";
    c.lineWidth = 1.5;
    c.stroke(path);
  }
}
