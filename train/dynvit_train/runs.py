"""What outlives a kill -9: atomic files, checkpoints, the log."""

import csv
import io
import os
import sys
import tempfile
import time
from pathlib import Path

import torch

from .errors import UserError

CHECKPOINT = "checkpoint.pth"


def write_atomic(path, data):
    """Replaces path by data as a whole and durably, or leaves it as it was. UserError where it cannot."""
    path = Path(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".tmp")
        with os.fdopen(handle, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes it for its user alone
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as e:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise UserError(f"write {path}: {e.strerror or e}; what was there is unchanged") from None


def sync_folder(folder):
    """Makes a rename in the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save_checkpoint(folder, state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomic(Path(folder) / CHECKPOINT, buffer.getbuffer())


def load_checkpoint(folder):
    """The state of the last finished epoch, None where there is none."""
    path = Path(folder) / CHECKPOINT
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:
        raise UserError(f"checkpoint {path}: {str(e).strip().splitlines()[0]}") from None


class Log:
    """log.csv, TensorBoard, a progress bar. Rows after the step that a run resumes from are cut off and come again."""

    COLUMNS = ["epoch", "step", "phase", "lr", "keep", "loss", "cls", "ratio", "kl", "token", "images_per_s", "skipped"]

    def __init__(self, folder, total_steps, resumed_step, board=True):
        self.path = Path(folder) / "log.csv"
        self.total, self.first, self.start = total_steps, resumed_step, time.monotonic()
        rows = [row for row in self.read() if int(row["step"]) <= resumed_step]
        text = io.StringIO()
        writer = csv.DictWriter(text, self.COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(self.path, text.getvalue().encode())
        self.file = open(self.path, "a", newline="")
        self.writer = csv.DictWriter(self.file, self.COLUMNS, lineterminator="\n")
        self.board = None
        if board:
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(Path(folder) / "tensorboard"), purge_step=resumed_step + 1)

    def read(self):
        if not self.path.exists():
            return []
        with open(self.path, newline="") as f:
            return [
                row for row in csv.DictReader(f) if (row.get("step") or "").isdigit() and row.get("skipped") is not None
            ]

    def row(self, values):
        self.writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in values.items()})
        self.file.flush()
        if self.board:
            for name in ("lr", "keep", "loss", "cls", "ratio", "kl", "token", "images_per_s"):
                if values.get(name) not in (None, ""):
                    self.board.add_scalar(f"train/{name}", values[name], values["step"])

    def accuracy(self, step, results):
        if self.board:
            for keep, top1 in results.items():
                self.board.add_scalar(f"val/top1 keep {keep}", top1, step)

    def progress(self, epoch, step, loss):
        """A line with the time left, on a terminal only."""
        if not sys.stderr.isatty():
            return
        done, spent = step - self.first, time.monotonic() - self.start
        left = spent / max(1, done) * (self.total - step)
        filled = 30 * step // self.total
        bar = "#" * filled + "." * (30 - filled)
        end = "\n" if step == self.total else ""
        text = f"\r{bar} epoch {epoch + 1} step {step}/{self.total} loss {loss:.4f} left {clock(left)} "
        print(text, end=end, file=sys.stderr, flush=True)

    def close(self):
        self.file.close()
        if self.board:
            self.board.close()


def clock(seconds):
    minutes = int(seconds) // 60
    return f"{minutes // 60}:{minutes % 60:02d}:{int(seconds) % 60:02d}"
