"""Every kind of transformer that dynvitd imports: what the model computes, and that its predictors can be trained."""

import csv
import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors import safe_open

from dynvit_train.definitions import describe, outline
from dynvit_train.export import encode, export, metadata
from dynvit_train.model import DynamicViT, keep_counts
from dynvit_train.reducing import ByAttention, ByCLSAttention, ByPredictor
from dynvit_train.regressing import regress
from dynvit_train.weights import Facts, Loaded, fill, load_model, read, shape_of

KINDS = Path(__file__).resolve().parents[2] / "vit" / "testdata" / "kinds.safetensors"
ANSWERS = ("logits", "attention", "predictor")


def timm_kinds():
    """Those in timm's names, as dynvitd writes all of them; other programs' are the same models by other names."""
    with safe_open(str(KINDS), "pt") as f:
        return sorted(n for n in f.metadata() if f"{n}/blocks.0.norm1.weight" in f.keys())


def read_kind(name):
    """(shape, state, answers, x) of a kind."""
    with safe_open(str(KINDS), "pt") as f:
        tensors = {n.removeprefix(name + "/"): f.get_tensor(n) for n in f.keys() if n.startswith(name + "/")}
        said, x = json.loads(f.metadata()[name]), f.get_tensor("x").float()
    answers = {n: tensors.pop(n) for n in ANSWERS if n in tensors}
    state = {n: t.float() for n, t in tensors.items()}
    return shape_of(Loaded(state, said)), state, answers, x


@pytest.fixture(params=timm_kinds())
def kind(request):
    return read_kind(request.param)


def test_there_are_kinds():
    assert len(timm_kinds()) >= 15


def test_answers_are_those_of_timm(kind):
    shape, state, answers, x = kind
    model = fill(DynamicViT(shape), Loaded(dict(state)), "kind").eval()
    counts = keep_counts(0.7, shape.patches, 2)
    with torch.no_grad():
        got = {"logits": model(x), "attention": model.pruned(x, counts, ByAttention())}
        if "predictor" in answers:
            got["predictor"] = model.pruned(x, counts, ByPredictor())
    for name, want in answers.items():
        torch.testing.assert_close(got[name].logits, want, rtol=1e-4, atol=1e-4)


def test_eps_goes_with_the_kind(kind):
    """Where nothing says it, it is CLIP's where there is a LayerNorm ahead of the blocks, as in vit/infer.go."""
    shape, state, _, _ = kind
    said = {"heads": "2"} | ({} if shape.classes else {"head": "none"})
    assert shape_of(Loaded(state, said)).eps == (1e-5 if shape.pre_norm else 1e-6)


def test_masked_and_pruned_agree(kind):
    """What is masked has no say, what is ahead of the patches always has: both passes answer alike."""
    torch.manual_seed(0)
    shape, state, _, x = kind
    model = fill(DynamicViT(shape), Loaded(dict(state)), "kind").double().eval()
    for p in model.score_predictor.parameters():
        torch.nn.init.normal_(p, std=0.5)  # scores far apart
    x, counts, kept = x.double(), keep_counts(0.5, shape.patches, 2), []

    def decide(stage, logprobs, previous):
        score = (logprobs[..., :1] - logprobs[..., 1:]).masked_fill(previous == 0, -torch.inf)
        kept.append(torch.zeros_like(previous).scatter(1, score.topk(counts[stage], dim=1).indices, 1))
        return kept[-1]

    with torch.no_grad():
        pruned = model.pruned(x, counts, ByPredictor()).logits
        torch.testing.assert_close(model.masked(x, decide).logits.double(), pruned, rtol=1e-4, atol=1e-4)
    assert [int(k.sum(1)[0]) for k in kept] == counts
    if shape.cls:
        model.pruned(x, counts, ByCLSAttention())


def test_predictors_can_be_trained(kind, pictures, tmp_path):
    """regress writes predictors that explain more of what patches are worth than new ones do, and nothing else."""
    shape, state, _, _ = kind
    source, learnt = tmp_path / "model.safetensors", tmp_path / "predictors.safetensors"
    plain = {n: t for n, t in state.items() if not n.startswith("score_predictor.")}
    source.write_bytes(encode(plain, metadata(shape, Facts())))
    losses = regress(source, learnt, str(pictures), views=48, epochs=30, batch=16, lr=1e-2, say=lambda *a, **k: None)
    assert all(loss < 0.9 for loss in losses), losses  # new ones explain nothing: 1
    whole = tmp_path / "whole.safetensors"
    export(source, whole, predictors=str(learnt))
    model, _, loaded = load_model(whole)
    assert model.shape == shape
    assert all(torch.equal(loaded.tensors[n], t) for n, t in plain.items())
    assert {n for n in read(learnt).tensors} == {n for n in model.state_dict() if n.startswith("score_predictor.")}


@pytest.mark.parametrize(
    "name", ["deit3_small_patch16_224", "vit_base_patch16_clip_quickgelu_224", "vit_base_patch16_rpn_224"]
)
def test_definitions_are_the_table(name):
    """Rows of the table that dynvitd has, made anew."""
    with open(KINDS.parents[2] / "timm" / "definitions.csv", newline="") as f:
        rows = {row["architecture"]: row for row in csv.DictReader(f)}
    with torch.device("meta"):
        model = timm.create_model(name)
    want = {k: v for k, v in rows[name].items() if v}
    assert {k: str(v) for k, v in describe(name, model).items() if v != ""} == want
    assert outline(model)["tensors"]["pos_embed"][2] == model.embed_dim
