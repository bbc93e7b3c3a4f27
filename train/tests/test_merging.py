"""Merging: what goes where, what becomes of it, and that training with it is what inference does."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import SMALL
from safetensors import safe_open

from dynvit_train.deciding import NoisyTopK, logistic_noise
from dynvit_train.export import golden_input
from dynvit_train.losses import dynamic_loss
from dynvit_train.merging import RULES, Merge, average, merged, merged_masked, orders, survivors, survivors_of, unite
from dynvit_train.model import DynamicViT, keep_counts
from dynvit_train.reducing import ByAttention, ByPredictor
from dynvit_train.weights import Loaded, fill, load_model, shape_of

NO_NOISE = lambda stage, like: torch.zeros_like(like)  # noqa: E731
LVVIT = replace(SMALL, stem=8, skip_lam=2.0, eps=1e-5, qkv_bias=False, aux_head=True)
KINDS = {
    "plain": SMALL,
    "lvvit": LVVIT,
    "mean": replace(SMALL, pool="avg", last_norm="fc_norm"),
    "both": replace(SMALL, pool="token+avg"),
    "no CLS": replace(SMALL, cls=False, placed=0, pool="avg"),
    "registers": replace(SMALL, registers=2),
}


def model_of(shape, seed=0):
    """A model whose weights are large enough that its tokens differ."""
    torch.manual_seed(seed)
    model = DynamicViT(shape).double().eval()
    for p in model.parameters():
        if p.dim() == 2:
            torch.nn.init.normal_(p, std=1.5 * p.shape[1] ** -0.5)
    return model


def test_survivors():
    """As large a share of what is to go is dropped as is to go of all; so half of the survivors can be targets."""
    assert survivors(196, 137) == 196 - 17  # 59 go, 30 % of 59 dropped
    assert survivors(137, 67) == 137 - 35
    assert survivors(196, 49) == 196 - 110
    assert survivors(16, 15) == 16 and survivors(7, 7) == 7
    for alive in range(1, 60):
        for keep in range(1, alive + 1):
            left = survivors(alive, keep)
            assert keep <= left <= alive and left // 2 <= keep, (alive, keep)


def test_orders_halve_by_place():
    """Turn by turn the half that is first is the one colour of a chessboard, every other column, a chessboard of twice
    the squares and so on; no two patches are at one place."""
    for grid in (2, 4, 16):
        ids = torch.arange(grid * grid)
        x, y = ids % grid, ids // grid
        all = orders(grid)
        assert len(all) == 2 * (grid - 1).bit_length()
        for turn, order in enumerate(all):
            column, row = x >> turn // 2, y >> turn // 2
            half = (column if turn % 2 else row + column) % 2
            assert torch.equal(order >= grid * grid // 2, half == 1)
            assert order.unique().numel() == grid * grid
    assert orders(1).tolist() == [[0], [0]]
    assert orders(3)[0].reshape(3, 3).tolist() == [[0, 12, 3], [8, 4, 11], [2, 14, 1]]  # bits (x^y)0 x0 (x^y)1 x1
    assert orders(3)[3].reshape(3, 3).tolist() == [[0, 6, 9], [4, 2, 13], [1, 7, 8]]  # bits x1 (x^y)0 x0 (x^y)1


def test_targets_are_the_half_that_is_last_in_order():
    """Whatever their rows; of an odd number the smaller half; of equal ones the lower rows."""
    keys, even = torch.tensor([[[1.0, 0.0]] * 5]), torch.ones(1, 5)
    assert unite(keys, even, torch.tensor([[9, 1, 2, 3, 8]]), 2).tolist() == [[0, 0, 0, 0, 4]]
    assert unite(keys, even, torch.tensor([[1, 1, 2, 1, 1]]), 3).tolist() == [[0, 0, 2, 0, 4]]


def test_cheapest_go_first_and_ties_go_low():
    east, north, both = [1.0, 0.0], [0.0, 1.0], [3.0, 4.0]
    keys, even = torch.tensor([[east, both, north, east, east, east]]), torch.ones(1, 6)
    order = torch.tensor([[0, 1, 0, 1, 0, 1]])  # sources 0 2 4, targets 1 3 5
    assert unite(keys, even, order, 5).tolist() == [[3, 1, 2, 3, 4, 5]]  # 0 and 4 are as like 3 and 5: the lower ones
    assert unite(keys, even, order, 4).tolist() == [[3, 1, 2, 3, 3, 5]]
    assert unite(keys, even, order, 3).tolist() == [[3, 1, 1, 3, 3, 5]]
    assert unite(keys * 7, even, order, 3).tolist() == [[3, 1, 1, 3, 3, 5]]  # lengths do not count
    assert unite(torch.zeros(1, 4, 2), torch.ones(1, 4), order[:, :4], 3).tolist() == [[1, 1, 2, 3]]
    assert unite(torch.zeros(1, 1, 2), torch.ones(1, 1), order[:, :1], 1).tolist() == [[0]]


def test_what_matters_less_goes_first():
    """The cost is the distance times the root of the importance."""
    north, off = [0.0, 1.0], [0.6, 0.8]  # 0.2 from north
    keys, order = torch.tensor([[off, north, [0.8, 0.6], north]]), torch.tensor([[0, 1, 0, 1]])  # costs 0.2·√I, 0.4·√I
    assert unite(keys, torch.tensor([[3.9, 1.0, 1.0, 1.0]]), order, 3).tolist() == [[1, 1, 2, 3]]
    assert unite(keys, torch.tensor([[4.1, 1.0, 1.0, 1.0]]), order, 3).tolist() == [[0, 1, 1, 3]]


def test_average_weighs_by_size():
    x, size = torch.tensor([[[2.0], [8.0], [5.0], [7.0]]]), torch.tensor([[[1.0], [2.0], [1.0], [3.0]]])
    rows, sizes = average(x, size, torch.tensor([[1, 1, -1, 3]]))
    assert rows[0, [1, 3], 0].tolist() == [6.0, 7.0] and sizes.tolist() == [[[0.0], [3.0], [0.0], [3.0]]]


@pytest.mark.parametrize("name", KINDS)
def test_equal_patches_merge_without_loss(name):
    """A picture of equal neighbours is answered as unmerged when each goes to its like: sizes are seen everywhere."""
    shape = replace(KINDS[name], stem=0, prune_at=(1, 3))
    model = model_of(shape)
    model.pos_embed.data.zero_()
    torch.manual_seed(1)
    halves = torch.randn(2, 3, 4, 2, 8, 8, dtype=torch.double)  # rows, pairs
    x = halves[:, :, :, :, None].expand(-1, -1, -1, -1, 2, -1, -1).permute(0, 1, 2, 5, 3, 4, 6).reshape(2, 3, 32, 32)
    pairs = (torch.arange(16) | 1).expand(2, -1)
    out = merged(model, x, [8, 8], Merge(ByAttention()), forced=[pairs, pairs])
    assert torch.equal(out.groups[1], pairs) and out.sizes[1].tolist() == [[2.0] * 8] * 2
    torch.testing.assert_close(out.logits, model(x).logits, rtol=1e-9, atol=1e-9)
    free = merged(model, x, [14, 14], Merge(ByAttention()))
    assert free.sizes[0].sum() == 32  # 2 go, none of them dropped
    torch.testing.assert_close(free.logits, model(x).logits, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", KINDS)
def test_dropping_all_of_them_is_the_attention_scorer(name):
    model, x = model_of(KINDS[name]), torch.randn(2, 3, 32, 32, dtype=torch.double)
    want = model.pruned(x, [11, 7, 5], ByAttention())
    forced = [torch.full((2, 16), -1).scatter(1, kept, kept) for kept in want.kept]
    out = merged(model, x, [11, 7, 5], Merge(ByAttention()), forced)
    torch.testing.assert_close(out.logits, want.logits, rtol=1e-9, atol=1e-9)
    assert all(torch.equal(a, b) for a, b in zip(out.kept, want.kept))


@pytest.mark.parametrize("name", KINDS)
def test_groups_are_what_happened(name):
    """Groups divide the patches; sizes count them; -1 stays -1; and groups given give the answer of those found."""
    model, x = model_of(KINDS[name]), torch.randn(2, 3, 32, 32, dtype=torch.double)
    counts = [11, 6, 2]
    out = merged(model, x, counts, Merge(ByAttention()))
    gone = torch.zeros(2, 16, dtype=torch.bool)
    for kept, groups, sizes, count in zip(out.kept, out.groups, out.sizes, counts):
        assert kept.shape == sizes.shape == (2, count) and groups.shape == (2, 16)
        assert (groups[gone] == -1).all() and (kept.diff() > 0).all()
        gone = groups == -1
        for b in range(2):
            assert sorted(set(groups[b].tolist()) - {-1}) == kept[b].tolist()
            assert [groups[b].tolist().count(i) for i in kept[b]] == sizes[b].tolist()
    assert gone.sum() > 0 and out.sizes[-1].max() > 1
    again = merged(model, x, counts, Merge(ByAttention()), forced=out.groups)
    torch.testing.assert_close(again.logits, out.logits)
    assert all(torch.equal(a, b) for a, b in zip(again.groups, out.groups))


def test_counts_that_remove_nothing():
    model, x = model_of(SMALL), torch.randn(2, 3, 32, 32, dtype=torch.double)
    torch.testing.assert_close(merged(model, x, [16, 16, 16], Merge(ByAttention())).logits, model(x).logits)
    out = merged(model, x, [16, 9, 9], Merge(ByAttention()))
    assert [len(k[0]) for k in out.kept] == [16, 9, 9] and out.groups[0].tolist() == [list(range(16))] * 2


@pytest.mark.parametrize("name", KINDS)
def test_masking_equals_merging(name):
    """The training pass without noise answers as inference that merges the same patches."""
    model, x = model_of(KINDS[name], seed=2), torch.randn(2, 3, 32, 32, dtype=torch.double)
    for predictor in model.score_predictor:
        torch.nn.init.normal_(predictor.out_conv[-1].weight, std=3)
    counts, rule = [11, 6, 4], Merge(ByPredictor())
    masked = merged_masked(model, x, counts, NoisyTopK(survivors_of(counts, 16), NO_NOISE))
    want = merged(model, x, counts, rule)
    torch.testing.assert_close(masked.cls_logits.double(), want.cls_logits, rtol=1e-4, atol=1e-4)
    for size, groups, kept in zip(masked.decisions, want.groups, want.kept):
        assert torch.equal(size[..., 0].round().nonzero()[:, 1].view(2, -1), kept)
        assert size.sum().round() == (groups >= 0).sum()


def test_gradients_reach_every_predictor():
    """Through sizes; of the last block's stage only where the head reads patches."""
    small = DynamicViT(replace(SMALL, pool="token+avg"))
    x, g = torch.randn(4, 3, 32, 32), torch.Generator().manual_seed(1)
    counts = [9, 4, 1]
    decide = NoisyTopK(survivors_of(counts, 16), lambda stage, like: logistic_noise(g, like.shape))
    out = merged_masked(small, x, counts, decide)
    dynamic_loss(out, torch.eye(3)[[0, 1, 2, 0]], None).total.backward()
    for i, predictor in enumerate(small.score_predictor):
        for name, p in predictor.named_parameters():
            assert p.grad is not None and p.grad.abs().max() > 0, (i, name)


GOLDEN = Path(__file__).resolve().parents[2] / "vit" / "testdata" / "merging.safetensors"


@pytest.fixture(scope="module")
def golden():
    with safe_open(str(GOLDEN), "pt") as f:
        return {n: f.get_tensor(n) for n in f.keys()}, {n: json.loads(said) for n, said in f.metadata().items()}


@pytest.mark.parametrize("name", ["plain", "lvvit", "mean", "mean-norm", "registers"])
def test_golden_files_are_what_this_computes(golden, name):
    """In float32, free and with the groups given: what other implementations are held to."""
    tensors, said = golden
    state = {n.removeprefix(name + "/"): t.float() for n, t in tensors.items() if n.startswith(name + "/")}
    loaded = Loaded(state, said[name])
    model = fill(DynamicViT(shape_of(loaded)), loaded, name).eval()
    x, cases = tensors[f"answers/{name}/x"].float(), {n.rsplit("/", 1)[0] for n in tensors if "/logits" in n}
    cases = sorted(n for n in cases if n.startswith(f"answers/{name}/"))
    assert len(cases) == 8
    for at in cases:
        rule, ratio = at.split("/")[2:]
        counts, want = keep_counts(float(ratio), 64, 3), [tensors[f"{at}/groups.{k}"].long() for k in range(3)]
        for forced in (None, want):
            with torch.no_grad():
                out = merged(model, x, counts, RULES[rule], forced)
            torch.testing.assert_close(out.logits, tensors[f"{at}/logits"], rtol=1e-4, atol=1e-5)
            for k in range(3):
                assert torch.equal(out.groups[k], want[k]), (at, k)
                assert torch.equal(out.sizes[k], tensors[f"{at}/sizes.{k}"].float()), (at, k)


@pytest.mark.parametrize("rule", RULES)
def test_groups_of_photos(shared, rule):
    """DeiT-Tiny in float32 on the golden photos at half."""
    model, facts, _ = load_model(
        shared("models", "deit_tiny_patch16_224.safetensors"), shared("golden", "deit_tiny", "predictors.safetensors")
    )
    cases = json.loads((GOLDEN.parent / "merging_deit_tiny.json").read_text())["cases"]
    assert len(cases) == 72
    cases = [c for c in cases if c["scorer"] == rule and c["keep_ratio"] == 0.5]
    x = torch.stack([golden_input(shared("golden", "deit_tiny", c["image"]), facts, 224, False) for c in cases])
    with torch.no_grad():
        out = merged(model.eval(), x, keep_counts(0.5, 196, 3), RULES[rule])
    for i, case in enumerate(cases):
        for groups, want, ties in zip(out.groups, case["groups"], case["ties"]):
            assert {p for p in range(196) if groups[i, p] != want[p]} <= set(ties), case["image"]
        torch.testing.assert_close(out.logits[i, case["top5"]], torch.tensor(case["logits"]), rtol=1e-4, atol=1e-4)
