"""Regression of predictors on what patches are worth, and the files it writes."""

import pytest
import torch
from conftest import SMALL
from test_fit import settings

from dynvit_train import runs
from dynvit_train.errors import UserError
from dynvit_train.export import encode, metadata
from dynvit_train.fit import fit
from dynvit_train.model import DynamicViT
from dynvit_train.regressing import FLOOR, Lessons, learn, regress, worths
from dynvit_train.weights import Facts, load_model


def test_worth_is_the_growth_of_kl():
    """The square of the worth is, but for a factor, what masking one patch a little costs at a stage."""
    torch.manual_seed(5)
    model = DynamicViT(SMALL).double().eval().requires_grad_(False)
    for block in model.blocks:
        torch.nn.init.normal_(block.attn.qkv.weight, std=0.5)
    torch.nn.init.normal_(model.head.weight, std=1.0)
    x = torch.randn(1, 3, 32, 32).double()
    dense, small = model.double()(x).logits, 0.03
    ahead = model.blocks[0](model.embed(x))
    alone = worths_in_double(model, ahead, 0)[0].worth
    for stage, lessons in enumerate(worths_in_double(model, x)):
        log_worth = lessons.worth
        growth = []
        for patch in range(16):

            def decide(at, logprobs, previous, stage=stage, patch=patch):
                mask = torch.ones_like(previous)
                if at == stage:
                    mask[:, patch] = 1 - small
                return mask * previous

            growth.append(logit_kl_double(model.masked(x, decide).logits, dense))
        growth = torch.tensor(growth)
        share = growth / growth.mean() + FLOOR
        torch.testing.assert_close(log_worth[0].exp().float() ** 2, share, rtol=0.3, atol=0.03)
        if stage == 0:
            torch.testing.assert_close(alone, log_worth)


def worths_in_double(model, x, stage=None):
    torch.set_default_dtype(torch.float64)
    try:
        return worths(model, x, stage)
    finally:
        torch.set_default_dtype(torch.float32)


def logit_kl_double(got, want):
    got, want = got.log_softmax(-1), want.log_softmax(-1)
    return (want.exp() * (want - got)).sum().item()


def test_predictors_learn_worth_that_can_be_seen():
    """Worth that is a feature of the patch is learnt; pure noise is not."""
    torch.manual_seed(6)
    features = torch.randn(64, 16, 16)
    seen, noise = Lessons(features.half(), features[..., 3] * 2), Lessons(features.half(), torch.randn(64, 16))
    quiet = lambda *args, **more: None  # noqa: E731
    model = DynamicViT(SMALL)
    fewer = Lessons(seen.features[:, :9], seen.worth[:, :9])
    assert learn(model.score_predictor[0], 0, [seen], 30, 8, 5e-3, 0, quiet) < 0.2
    assert learn(model.score_predictor[1], 1, [seen], 30, 8, 5e-3, 0, quiet, thin=True) < 0.3
    assert learn(model.score_predictor[0], 0, [seen, fewer], 5, 8, 5e-3, 0, quiet) < 0.2
    assert learn(model.score_predictor[2], 0, [noise], 2, 8, 1e-3, 0, quiet) > 0.9


@pytest.mark.parametrize("in_turn", [False, True])
def test_regress_writes_a_predictors_file(pictures, tmp_path, in_turn):
    fit(settings(pictures, tmp_path / "start", epochs=1))
    start, out = tmp_path / "start" / runs.CHECKPOINT, tmp_path / "predictors.safetensors"
    bad = tmp_path / "bare"
    bad.mkdir()
    (bad / "a.png").write_bytes(b"not a picture")
    said = []
    say = lambda text, **more: said.append(text)  # noqa: E731
    regress(str(start), str(out), str(pictures), 40, 2, batch=8, in_turn=in_turn, say=say)
    assert said[0].startswith("8 of 40 views" if in_turn else "32 of 40 views") and "unexplained" in said[-1]
    model, _, loaded = load_model(start, out)
    assert {n.split(".")[0] for n in regressing_names(out)} == {"score_predictor"}
    before = load_model(start)[0].state_dict()
    changed = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    assert changed == {n for n in before if n.startswith("score_predictor.")}
    with pytest.raises(UserError, match="no picture can be read"):
        regress(str(start), str(out), str(bad), 8, 1, say=lambda *args, **more: None)
    dense = tmp_path / "dense.safetensors"
    dense.write_bytes(encode(model.state_dict(), metadata(SMALL, Facts()) | {"prune_at": "1,2,3"}))
    with pytest.raises(UserError, match="want a name that ends in .safetensors"):
        regress(str(dense), str(tmp_path / "x.pth"), str(pictures), 8, 1)


def regressing_names(path):
    from safetensors import safe_open

    with safe_open(str(path), "pt") as f:
        assert "no labels" in f.metadata()["training"] and f.metadata()["prune_at"] == "1,2,3"
        return list(f.keys())
