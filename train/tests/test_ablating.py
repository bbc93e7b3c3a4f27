"""Ablations, smaller networks and their work on drawn pictures."""

import csv
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
import torch
from conftest import SMALL
from test_fit import settings

from dynvit_train import runs
from dynvit_train.ablating import RATIOS, Plan, ablate, cell
from dynvit_train.errors import UserError
from dynvit_train.export import encode, metadata
from dynvit_train.fit import fit
from dynvit_train.macs import macs
from dynvit_train.model import DynamicViT, Shape, keep_counts
from dynvit_train.shrinking import fewer_blocks, fewer_units, shrink
from dynvit_train.weights import Facts, load_model


def test_macs_are_the_published():
    deit_s = Shape(384, 12, 6, 1536, 1000)
    assert round(macs(deit_s) / 1e9, 1) == 4.6
    for keep, want in ((0.9, 4.0), (0.8, 3.4), (0.7, 2.9), (0.6, 2.5), (0.5, 2.2)):
        assert abs(macs(deit_s, keep_counts(keep, 196, 3)) / 1e9 - want) < 0.09, keep
    assert abs(macs(Shape(192, 12, 3, 768, 1000)) / 1e9 - 1.25) < 0.02


def test_macs_of_a_stage_inside_its_block():
    """Its attention is of all patches, its MLP of those that are left."""
    shape = Shape(16, 2, 2, 32, 3, 32, 8, (1,))
    less = macs(shape, [4], False, inside=True) - macs(shape, [4], False)
    assert less == 4 * 12 * 16**2 + 2 * (17**2 - 5**2) * 16
    assert macs(shape, [16], False, inside=True) == macs(shape)


def test_ablation_writes_tables_and_goes_on(pictures, tmp_path):
    fit(settings(pictures, tmp_path / "start", epochs=2, prune_at="none", lr=3e-3, mlp_ratio=6.0))
    start = str(tmp_path / "start" / runs.CHECKPOINT)
    base = settings(pictures, tmp_path / "ablation", model=start, teacher="self", train="predictors", epochs=1,
                    val=str(pictures), prune_at="1,2,3", lr=1e-3, max_steps=2, keep="0.7")  # fmt: skip
    arms = ("dynamic", "dynamic, any ratio", "dynamic, merged", "static", "dynamic, one stage")
    plan = Plan(base, tmp_path / "ablation", (0, 1), arms, smaller=True)
    rows = ablate(plan)
    names = {"attention", "cls-attention", "pooling", "merge", "random", *arms, "fewer blocks", "fewer hidden units"}
    assert {row.arm for row in rows} == names
    dense = next(row.top1["1"] for row in rows if row.arm == "attention")
    assert all(row.top1["1"] == dense for row in rows if row.arm in arms)  # a frozen backbone
    assert all(list(row.top1) == [f"{r:g}" for r in RATIOS] for row in rows if row.arm == "static")
    attention, pruned = (next(row.work[k] for row in rows if row.arm == "attention") for k in ("1", "0.7"))
    assert pruned < attention
    table = list(csv.DictReader((tmp_path / "ablation" / "ablation.csv").open()))
    assert len(table) == 7 * (4 + 2 + 2 * len(arms)) + 2 * 2
    assert "| static | 2 |" in (tmp_path / "ablation" / "ablation.md").read_text()
    root = ElementTree.parse(tmp_path / "ablation" / "ablation.svg").getroot()
    assert len(root.findall("{http://www.w3.org/2000/svg}g[@class='line']")) == len(names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dynvit_train.ablating.fit", None)  # finished arms are not run again
        assert ablate(plan) == rows


def test_smaller_networks_alone(pictures, tmp_path):
    """Into a folder that no trained arm made; what is cut learns from the whole network."""
    fit(settings(pictures, tmp_path / "start", epochs=1, prune_at="none", mlp_ratio=6.0))
    start = str(tmp_path / "start" / runs.CHECKPOINT)
    base = settings(pictures, tmp_path / "new", model=start, teacher="self", epochs=1, val=str(pictures),
                    prune_at="1,2,3", max_steps=1)  # fmt: skip
    rows = ablate(Plan(base, tmp_path / "new" / "deep", (0,), (), smaller=True))
    assert {"fewer blocks", "fewer hidden units"} < {row.arm for row in rows}
    saved = runs.load_checkpoint(tmp_path / "new" / "deep" / "fewer-blocks-0")
    assert saved["config"]["teacher"] == start != saved["config"]["model"]


def test_cells():
    assert cell([0.5, 0.52]) == "51.0 ± 1.0" and cell([0.915]) == "91.5" and cell([]) == ""


def test_unknown_arm(pictures, tmp_path):
    with pytest.raises(UserError, match="--arms dynamo: want some of dynamic;"):
        ablate(Plan(settings(pictures, tmp_path), tmp_path, (0,), ("dynamo",), False))


def test_shrinking_leaves_what_does_nothing_out():
    """Blocks and units whose output is zero go first, and then nothing changes."""
    torch.manual_seed(3)
    model, x = DynamicViT(SMALL).eval(), torch.randn(4, 3, 32, 32)
    for i in (1, 2):
        for layer in (model.blocks[i].attn.proj, model.blocks[i].mlp.fc2):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    for i in (0, 3):
        model.blocks[i].mlp.fc2.weight.data[:, ::2] = 0
    want = model(x).logits
    less = fewer_units(fewer_blocks(model, x, 2), x, SMALL.hidden // 2)
    assert (less.shape.depth, less.shape.hidden) == (2, SMALL.hidden // 2)
    torch.testing.assert_close(less(x).logits, want, atol=1e-5, rtol=1e-4)


def test_shrink_takes_the_head_of_the_folders_classes(pictures, tmp_path):
    torch.manual_seed(4)
    model = DynamicViT(replace(SMALL, classes=5))
    path, names = tmp_path / "large.safetensors", tmp_path / "names.txt"
    path.write_bytes(encode(model.state_dict(), metadata(model.shape, Facts(resize=36, scorer="predictor+merge"))))
    names.write_text("other one\nred rot\nblue blau\nmore x\ngreen gruen, grün\n")
    out = tmp_path / "small.safetensors"
    shrink(str(path), str(out), str(pictures), 4, 32, str(names), str(names), 4)
    small, facts, loaded = load_model(out)
    assert facts.classes == ("blau", "gruen", "rot") and facts.synsets == ("blue", "green", "red")
    assert not any(n.startswith("score_predictor.") for n in loaded.tensors) and "scorer" not in loaded.meta
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(small(x).logits, model(x).logits[:, [2, 4, 1]], atol=1e-5, rtol=1e-4)
    with pytest.raises(UserError, match="want 1 to 4 blocks"):
        shrink(str(path), str(out), str(pictures), 5, 32, str(names), "", 4)
    names.write_text("other one\nred rot\nblue blau\nmore x\nviolet x\n")
    with pytest.raises(UserError, match="class green is not among"):
        shrink(str(path), str(out), str(pictures), 4, 32, str(names), "", 4)
