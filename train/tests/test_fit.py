"""Training runs on drawn pictures: what is learnt, resuming, several processes, and bad input."""

import csv
import dataclasses
import os
import re
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import SMALL, draw

from dynvit_train import runs, teachers
from dynvit_train.config import Config
from dynvit_train.errors import UserError
from dynvit_train.evaluating import evaluate
from dynvit_train.export import encode, metadata
from dynvit_train.fit import Trainer, fit, make_student
from dynvit_train.merging import RULES
from dynvit_train.model import DynamicViT
from dynvit_train.pictures import collate, scan
from dynvit_train.processes import Processes
from dynvit_train.reducing import ByPredictor, ByRandom
from dynvit_train.weights import Facts, load_model

NEW = dict(width=16, depth=4, heads=2, mlp_ratio=2.0, patch_size=8, image_size=32, prune_at="1,2,3")
QUICK = dict(batch=8, randaug=0, erase=0.0, mixup=0.0, cutmix=0.0, crop=1.0, log_every=1, teacher="none",
             keep="any")  # fmt: skip


def settings(pictures, out, **more):
    return Config(**{**NEW, **QUICK, "data": str(pictures), "out": str(out), "train": "all", "epochs": 2, **more})


def curve(out):
    """The losses of each step of a run."""
    with open(out / "log.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    return [(int(r["step"]), *(float(r[k] or 0) for k in ("loss", "cls", "ratio", "kl", "token"))) for r in rows]


def command(config, *more):
    flags = []
    for f in dataclasses.fields(config):
        value, name = getattr(config, f.name), "--" + f.name.replace("_", "-")
        if isinstance(value, bool):
            flags.append(name if value else "--no-" + name[2:])
        elif value != "":
            flags += [name, str(value)]
    return ["fit", *flags, *more]


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def test_learns_and_prunes_where_the_object_is_not(pictures, tmp_path):
    config = settings(pictures, tmp_path / "dense", prune_at="none", epochs=12, lr=3e-3, warmup_epochs=1.0)
    fit(config)
    losses = curve(tmp_path / "dense")
    assert losses[-1][1] < 0.6 * losses[0][1]
    start = str(tmp_path / "dense" / runs.CHECKPOINT)
    for keep, regress_epochs, epochs in (("any", 0, 20), ("0.4", 6, 4)):
        out = tmp_path / keep
        config = settings(pictures, out, model=start, train="predictors", teacher="self", keep=keep, lr=1e-3,
                          regress_epochs=regress_epochs, epochs=epochs, val=str(pictures), val_keep="1,0.5",
                          val_last=True)  # fmt: skip
        results = fit(config)
        model, facts, _ = load_model(out / runs.CHECKPOINT)
        rules = {"trained": (ByPredictor(), 0.5), "dense": (None, 1.0), "few": (ByPredictor(), 0.1)}
        rules |= {f"random {seed}": (ByRandom(seed), 0.1) for seed in range(4)}
        scores = evaluate(model, facts, scan(pictures), rules)
        assert results["0.5"] == scores["trained"].top1 > 0.9
        assert scores["dense"].agreement == 1.0
        chance = sum(scores[f"random {seed}"].agreement for seed in range(4)) / 4
        assert scores["few"].agreement > chance


def test_only_what_should_move_moves(pictures, tmp_path):
    fit(settings(pictures, tmp_path / "start", epochs=1))
    start = str(tmp_path / "start" / runs.CHECKPOINT)
    before = load_model(start)[0].state_dict()

    def moved(out, **more):
        fit(settings(pictures, tmp_path / out, model=start, teacher="self", ema="0", epochs=2, **more))
        after = load_model(tmp_path / out / runs.CHECKPOINT)[0].state_dict()
        return {n for n in before if not torch.equal(before[n], after[n])}

    predictors = {n for n in before if n.startswith("score_predictor.")}
    assert moved("predictors", train="predictors") == predictors
    assert moved("frozen", train="joint", freeze_epochs=2) == predictors
    joint = moved("joint", train="joint", freeze_epochs=1)
    assert joint == set(before) - {"cls_token", "pos_embed"}
    assert moved("regress", train="all", regress_epochs=2) == set(before)
    assert moved("network", train="network") == set(before) - predictors


def test_killed_runs_resume_with_nothing_lost(pictures, tmp_path):
    config = settings(pictures, tmp_path / "whole", epochs=3, keep="0.7", mixup=0.8, cutmix=1.0, randaug=9, crop=0.3)
    fit(config)
    killed = dataclasses.replace(config, out=str(tmp_path / "killed"))
    steps = len(curve(tmp_path / "whole")) // 3
    script = f"""
import os, signal, sys
from dynvit_train import fit
step = fit.Trainer.train_step
def die(self, *args):
    if self.step == {2 * steps + 3}:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *args)
fit.Trainer.train_step = die
from dynvit_train.__main__ import main
sys.exit(main())
"""
    done = subprocess.run([sys.executable, "-c", script, *command(killed)], env=environment())
    assert done.returncode == -signal.SIGKILL
    assert runs.load_checkpoint(tmp_path / "killed")["epoch"] == 2
    assert len(curve(tmp_path / "killed")) == 2 * steps + 3  # rows of the epoch that was lost are there
    with pytest.raises(UserError, match="--resume it"):
        fit(killed)
    with pytest.raises(UserError, match="--batch is 16, the run was begun with 8"):
        fit(dataclasses.replace(killed, resume=True, batch=16))
    fit(dataclasses.replace(killed, resume=True))
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    one, other = (load_model(tmp_path / n / runs.CHECKPOINT)[0].state_dict() for n in ("whole", "killed"))
    assert all(torch.equal(one[n], other[n]) for n in one)


def test_label_free_and_feature_projection(pictures, tmp_path):
    fit(settings(pictures, tmp_path / "teacher", epochs=1, width=32))
    teacher = str(tmp_path / "teacher" / runs.CHECKPOINT)
    fit(settings(pictures, tmp_path / "start", epochs=1, teacher=teacher))
    assert all(row[5] > 0 for row in curve(tmp_path / "start"))  # token loss through the projection
    start = str(tmp_path / "start" / runs.CHECKPOINT)
    bare = tmp_path / "bare"
    for i in range(8):
        draw(bare / f"{i}.png", i % 3, i)
    fit(settings(bare, tmp_path / "free", model=start, teacher="self", train="predictors", bf16=True))
    assert all(row[2] == 0 and row[4] > 0 for row in curve(tmp_path / "free"))


def test_lvvit_trains(pictures, tmp_path):
    fit(settings(pictures, tmp_path / "start", stem=8, epochs=1, keep="0.7"))
    start = str(tmp_path / "start" / runs.CHECKPOINT)
    fit(settings(pictures, tmp_path / "joint", model=start, teacher="self", train="joint", freeze_epochs=0, epochs=1))
    assert all(np.isfinite(row).all() and row[5] > 0 for row in curve(tmp_path / "joint"))


def test_timm_teacher(pictures, tmp_path):
    import timm

    torch.manual_seed(0)
    weights = tmp_path / "tiny.pth"
    torch.save(timm.create_model("test_vit", num_classes=1000).state_dict(), weights)
    config = settings(
        pictures, tmp_path / "run", teacher="test_vit", teacher_weights=str(weights), image_size=160, patch_size=16
    )
    with pytest.raises(UserError, match="1000 classes, the student has 3: name them with --teacher-classes"):
        fit(config)
    names = tmp_path / "names.txt"
    synsets = [f"n{i:08d}" for i in range(1000)]
    names.write_text("".join(f"{s} thing {s}\n" for s in synsets))
    root = tmp_path / "named"
    for kind in range(3):
        for i in range(4):
            draw(root / synsets[kind] / f"{i}.png", kind, i, 160)
    fit(dataclasses.replace(config, data=str(root), teacher_classes=str(names), epochs=1, max_steps=1))
    assert curve(tmp_path / "run")[0][4] > 0
    with pytest.raises(UserError, match="teacher no_such_model: "):
        fit(dataclasses.replace(config, teacher="no_such_model", out=str(tmp_path / "none")))


# Bad input.


def test_empty_folder_one_class_no_folder(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="no pictures"):
        fit(settings(empty, tmp_path / "run"))
    draw(tmp_path / "single" / "cat" / "1.png", 0, 1)
    with pytest.raises(UserError, match=r"one class only \(cat\)"):
        fit(settings(tmp_path / "single", tmp_path / "run"))
    with pytest.raises(UserError, match="no such folder"):
        fit(settings(tmp_path / "absent", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_corrupt_pictures_are_skipped_and_counted(tmp_path, capsys):
    root = tmp_path / "pictures"
    for kind in range(3):
        for i in range(4):
            draw(root / str(kind) / f"{i}.png", kind, i)
    whole = (root / "0" / "1.png").read_bytes()
    (root / "0" / "1.png").write_bytes(whole[: len(whole) // 2])
    (root / "2" / "3.png").write_bytes(b"not a picture")
    results = fit(settings(root, tmp_path / "run", batch=4, val=str(root), val_keep="1"))
    with open(tmp_path / "run" / "log.csv", newline="") as f:
        assert list(csv.DictReader(f))[-1]["skipped"] == "2"
    err = capsys.readouterr().err
    assert err.count("skip ") == 2 and "0/1.png" in err and "2 unreadable pictures skipped" in err
    assert 0 <= results["1"] <= 1
    for path in root.rglob("*.png"):
        path.write_bytes(b"not a picture")
    with pytest.raises(UserError, match="none of 12 pictures can be read"):
        fit(settings(root, tmp_path / "nothing", batch=4))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_loss_that_is_not_finite_stops_with_the_step(pictures, tmp_path, monkeypatch, bad):
    config = settings(pictures, tmp_path / "run")
    fit(dataclasses.replace(config, epochs=1))
    saved = (tmp_path / "run" / runs.CHECKPOINT).read_bytes()
    real = Trainer.losses

    def losses(self, *args):
        values, ratio = real(self, *args)
        if self.step == 2:
            values["loss"] = values["loss"] * bad
        return values, ratio

    monkeypatch.setattr(Trainer, "losses", losses)
    with pytest.raises(UserError, match="not finite at step 3 of epoch 1"):
        fit(dataclasses.replace(config, out=str(tmp_path / "other")))
    assert not (tmp_path / "other" / runs.CHECKPOINT).exists()
    assert (tmp_path / "run" / runs.CHECKPOINT).read_bytes() == saved


def test_huge_learning_rate_is_told(pictures, tmp_path):
    with pytest.raises(UserError, match=r"not finite at step \d+ of epoch \d+ .*lower --lr"):
        fit(settings(pictures, tmp_path / "run", lr=1e30, clip=0.0, epochs=20, warmup_epochs=0.0))


def test_disk_full_leaves_the_old_checkpoint(pictures, tmp_path):
    config = settings(pictures, tmp_path / "run", epochs=2)
    done = []
    real = runs.save_checkpoint

    def save(folder, state):
        if done:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20000, limits[1]))  # as a full disk: write() fails
        try:
            real(folder, state)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        done.append(state["epoch"])

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dynvit_train.fit.save_checkpoint", save)
        with pytest.raises(UserError, match=r"write .*checkpoint.pth: File too large; what was there is unchanged"):
            fit(config)
    assert done == [1]
    assert runs.load_checkpoint(tmp_path / "run")["epoch"] == 1
    assert not list((tmp_path / "run").glob(".*tmp"))
    fit(dataclasses.replace(config, resume=True))
    assert runs.load_checkpoint(tmp_path / "run")["epoch"] == 2


@pytest.mark.parametrize(
    "more, message",
    [
        (dict(keep="0"), "--keep 0: want"),
        (dict(keep="any:0.9,0.2"), "--keep any:0.9,0.2: want"),
        (dict(prune_at="3,x"), "--prune-at 3,x"),
        (dict(prune_at="3,9"), "ascending blocks from 0 to 3"),
        (dict(batch=7), "batch 7: want a multiple of 2"),
        (dict(batch=4096), "do not fill a batch"),
        (dict(width=17), "width 17"),
        (dict(no_labels=True), "nothing to learn"),
        (dict(model="/nowhere.pth"), "no such file"),
    ],
)
def test_bad_settings(pictures, tmp_path, more, message):
    with pytest.raises(UserError, match=re.escape(message)):
        fit(settings(pictures, tmp_path / "run", **more))


def test_damaged_model_files(tmp_path, pictures):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"12345678 nothing of the kind")
    with pytest.raises(UserError, match="bad.safetensors: not a checkpoint"):
        load_model(path)
    state = DynamicViT(SMALL).state_dict()
    meta = metadata(SMALL, Facts())
    path.write_bytes(encode(state | {"norm.bias": torch.full((16,), float("nan"))}, meta))
    with pytest.raises(UserError, match="norm.bias holds NaN"):
        load_model(path)
    path.write_bytes(encode({n: t for n, t in state.items() if n != "norm.bias"}, meta))
    with pytest.raises(UserError, match="norm.bias is missing"):
        load_model(path)


def test_errors_are_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "dynvit_train", "fit", "--data", str(tmp_path), "--out", str(tmp_path / "x")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("dynvit_train: data ") and done.stderr.count("\n") == 1


# Ways to make a run cheaper.


def test_kept_teacher_outputs_are_the_teachers(pictures, tmp_path):
    """With fixed views the teacher's answers are read back from disk as they were given, mirrored with the view."""
    fit(settings(pictures, tmp_path / "start", epochs=1))
    start = str(tmp_path / "start" / runs.CHECKPOINT)
    config = settings(pictures, tmp_path / "run", model=start, teacher="self", crop=0.5, views=2, epochs=5, lr=1e-6)
    asked = []
    real = teachers.Teacher.forward

    def forward(self, x):
        asked.append(len(x))
        return real(self, x)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teachers.Teacher, "forward", forward)
        fit(config)
    assert sum(asked) == 2 * 48  # two views of 48 pictures, each asked once in five epochs
    folder = scan(pictures)
    trainer = Trainer(config, make_student(config, folder), folder, Processes("cpu"))
    kept = trainer.keep_teacher(tmp_path / "run")
    items = [trainer.views[(epoch, i)] for epoch in (0, 3) for i in (0, 20, 47)]
    batch = collate([item for item in items if not item.mirrored] + [item for item in items if item.mirrored])
    got = kept(batch.view, batch, None)
    want = trainer.teacher(batch.view * 1.0)
    straight = ~batch.mirrored
    torch.testing.assert_close(got.logits[straight], want.logits[straight], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(got.tokens[straight], want.tokens[straight], atol=2e-3, rtol=2e-3)
    assert batch.mirrored.any() and straight.any()
    plain = trainer.teacher(torch.where(batch.mirrored.view(-1, 1, 1, 1), batch.view.flip(3), batch.view))
    grid = plain.tokens[batch.mirrored].unflatten(1, (4, 4)).flip(2).flatten(1, 2)
    torch.testing.assert_close(got.tokens[batch.mirrored], grid, atol=2e-3, rtol=2e-3)


def test_dense_share_and_dropped_steps_train_everything(pictures, tmp_path):
    config = settings(pictures, tmp_path / "run", epochs=3, teacher="none", dense_share=0.5, mask_every=3, w_score=1.0)
    fit(config)
    assert all(np.isfinite(row).all() for row in curve(tmp_path / "run"))
    before = make_student(config, scan(pictures)).model
    torch.manual_seed(config.seed)
    before = make_student(config, scan(pictures)).model.state_dict()
    after = torch.load(tmp_path / "run" / runs.CHECKPOINT, weights_only=True)["model"]
    still = {n for n in before if torch.equal(before[n], after[n])}
    assert not still


@pytest.mark.parametrize("train", ["all", "network"])
def test_merging_trains_everything_and_is_evaluated(pictures, tmp_path, train):
    """With merging, gradients reach every parameter that is to move, and evaluation merges."""
    config = settings(pictures, tmp_path / "run", image_size=64, merge=True, train=train, val=str(pictures),
                      depth=5, val_keep="1,0.5", keep="any:0.45,0.6", bf16=train == "all")  # fmt: skip
    results = fit(config)
    assert all(np.isfinite(row).all() for row in curve(tmp_path / "run"))
    torch.manual_seed(config.seed)
    before = make_student(config, scan(pictures)).model.state_dict()
    saved = torch.load(tmp_path / "run" / runs.CHECKPOINT, weights_only=True)
    moved = {n for n in before if not torch.equal(before[n], saved["model"][n])}
    assert set(before) - moved == ({n for n in before if "score_predictor" in n} if train == "network" else set())
    student = make_student(config, scan(pictures))
    model = student.model
    model.load_state_dict(saved["ema"])
    rules = {"1": (None, 1.0), "0.5": (RULES["predictor+merge"], 0.5)}
    scores = evaluate(model, student.facts, scan(pictures), rules)
    assert {name: s.top1 for name, s in scores.items()} == results
    assert saved["meta"]["scorer"] == "predictor+merge"


@pytest.mark.parametrize(
    "more, message",
    [
        (dict(views=2, mixup=0.8), "set --mixup 0"),
        (dict(dense_share=1.0), "--dense-share from 0"),
        (dict(keep="0.7", mask_every=2), "go with --keep any"),
        (dict(keep="0.7", train="network"), "go with --keep any"),
        (dict(keep="0.7", merge=True), "--merge goes with --keep any"),
        (dict(mask_every=2, merge=True), "--merge goes with --keep any, and with --mask-every 1"),
    ],
)
def test_settings_that_do_not_go_together(pictures, tmp_path, more, message):
    with pytest.raises(UserError, match=re.escape(message)):
        fit(settings(pictures, tmp_path / "run", **more))
