"""Model files, predictors files, cards and golden activations as dynvitd reads them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import SMALL
from PIL import Image
from safetensors import safe_open
from test_fit import settings

from dynvit_train.errors import UserError
from dynvit_train.evaluating import answers
from dynvit_train.export import encode, export, golden, golden_input, metadata, quantise
from dynvit_train.fit import fit
from dynvit_train.merging import RULES, merged
from dynvit_train.model import keep_counts
from dynvit_train.reducing import ByPredictor
from dynvit_train.weights import Facts, load_model, read

FACTS = Facts(classes=("a", "b", "c"), resize=36, license="CC0")


@pytest.fixture
def model_file(small, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(encode(small.state_dict(), metadata(SMALL, FACTS)))
    return path


def tensors(path):
    with safe_open(str(path), "pt") as f:
        return {n: f.get_tensor(n) for n in f.keys()}, f.metadata()


@pytest.mark.parametrize("dtype, error", [("f32", 0.0), ("f16", 1e-3), ("int8", 1e-2)])
def test_export_keeps_the_model(model_file, tmp_path, dtype, error):
    out = tmp_path / f"{dtype}.safetensors"
    export(model_file, out, dtype=dtype, training="by hand", card=str(tmp_path / "card.md"))
    before, facts, _ = load_model(model_file)
    after, again, loaded = load_model(out)
    assert again.classes == facts.classes and again.license == "CC0" and again.training == "by hand"
    assert after.shape == before.shape
    for name, t in before.state_dict().items():
        limit = error * t.abs().max().item()
        assert (t - after.state_dict()[name]).abs().max().item() <= limit, name
    kinds = {t.dtype for n, t in tensors(out)[0].items() if n.endswith("attn.qkv.weight")}
    assert kinds == {{"f32": torch.float32, "f16": torch.float16, "int8": torch.int8}[dtype]}
    vectors = {t.dtype for t in tensors(out)[0].values() if t.dim() == 1}
    assert vectors == {torch.float32}
    card = (tmp_path / "card.md").read_text()
    assert card.startswith(f"# {dtype}\n") and "**Made** by by hand." in card and "license: CC0" in card


def test_codes_are_nearest_and_scales_those_of_rows():
    w = torch.tensor([[1.27, -0.01, 0.005], [0.0, 0.0, 1e-31], [-2.54, 1.27, 0.03]])
    codes, scale = quantise(w)
    assert codes.tolist() == [[127, -1, 0], [0, 0, 0], [-127, 64, 2]]  # 63.5 goes to the even neighbour
    assert scale.tolist() == pytest.approx([0.01, 0.0, 0.02])


def test_predictors_apart(model_file, tmp_path):
    alone, dense, whole = (tmp_path / f"{n}.safetensors" for n in ("alone", "dense", "whole"))
    export(model_file, alone, only_predictors=True)
    export(model_file, dense, dense=True)
    assert set(tensors(alone)[0]) | set(tensors(dense)[0]) == set(tensors(model_file)[0])
    assert set(tensors(alone)[1]) == {"prune_at", "license"}
    export(dense, whole, predictors=str(alone))
    assert whole.read_bytes() == model_file.read_bytes()
    with pytest.raises(UserError, match="has no predictors"):
        export(dense, alone, only_predictors=True)
    with pytest.raises(UserError, match="ends in .safetensors"):
        export(dense, tmp_path / "x.bin")


def test_the_scorer_goes_with_the_predictors(model_file, small, tmp_path):
    made, alone, dense, whole = (tmp_path / f"{n}.safetensors" for n in ("made", "alone", "dense", "whole"))
    made.write_bytes(encode(small.state_dict(), metadata(SMALL, replace(FACTS, scorer="predictor+merge"))))
    export(made, alone, only_predictors=True)
    export(made, dense, dense=True)
    assert tensors(alone)[1]["scorer"] == "predictor+merge" and "scorer" not in tensors(dense)[1]
    export(dense, whole, predictors=str(alone))
    assert whole.read_bytes() == made.read_bytes()
    assert load_model(model_file, alone)[1].scorer == "predictor+merge" and load_model(model_file)[1].scorer == ""
    made.write_bytes(encode(small.state_dict(), metadata(SMALL, replace(FACTS, scorer="attention"))))
    export(made, dense, dense=True)
    assert tensors(dense)[1]["scorer"] == "attention"


def test_export_of_a_run_takes_the_average(pictures, tmp_path):
    fit(settings(pictures, tmp_path / "run", epochs=2, val=str(pictures), val_keep="1,0.5"))
    out, raw = tmp_path / "out.safetensors", tmp_path / "raw.safetensors"
    export(tmp_path / "run", out, card=str(tmp_path / "card.md"))
    export(tmp_path / "run", raw, raw=True)
    assert not torch.equal(read(out).tensors["head.weight"], read(raw).tensors["head.weight"])
    card = (tmp_path / "card.md").read_text()
    assert "| keep | 1 | 0.5 |" in card and "seed 0" in card and "Settings: data" in card
    with pytest.raises(UserError, match="holds no checkpoint"):
        export(tmp_path, out)


def test_a_label_with_a_bar_is_refused(small):
    with pytest.raises(UserError, match="label 'a|b' is empty or holds"):
        metadata(SMALL, Facts(classes=("a|b", "c", "d")))


def test_golden_is_what_the_model_does(model_file, tmp_path, small):
    paths = []
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 255, (16, 16, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(paths[-1])
    out = tmp_path / "golden.safetensors"
    golden(model_file, paths, out, [1.0, 0.5], brief=True, enlarge=True)
    got, _ = tensors(out)
    pixels = torch.from_numpy(np.array(Image.open(paths[1]), dtype=np.float32)).permute(2, 0, 1) / 255
    x = (pixels - torch.tensor(FACTS.mean)[:, None, None]) / torch.tensor(FACTS.std)[:, None, None]
    x = x.repeat_interleave(2, 1).repeat_interleave(2, 2)[None]
    with torch.no_grad():
        want = small.eval().pruned(x, keep_counts(0.5, 16, 3), ByPredictor())
        torch.testing.assert_close(got["keep1.logits"][1:], small(x).logits)
    torch.testing.assert_close(got["keep0.5.logits"][1:], want.logits)
    assert torch.equal(got["keep0.5.kept.2"][1:], want.kept[2])
    assert {n.removeprefix("keep0.5.") for n in got} >= {"logits", "kept.0", "score.2"}
    golden(model_file, paths, out, [0.5])
    assert "x" in tensors(out)[0] and "keep0.5.block.03" in tensors(out)[0]
    with pytest.raises(UserError, match="16x16|want a square"):
        Image.new("RGB", (16, 12)).save(paths[0])
        golden(model_file, paths, out, [0.5], enlarge=True)


def test_golden_and_answers_prune_as_the_model_names(model_file, pictures, tmp_path, small):
    named, seen = tmp_path / "named.safetensors", {}
    named.write_bytes(encode(small.state_dict(), metadata(SMALL, replace(FACTS, scorer="predictor+merge"))))
    paths = sorted(pictures.rglob("*.png"))[:4]
    cases = [("own", named, ""), ("asked", model_file, "predictor+merge"), ("dropped", named, "predictor")]
    for name, source, scorer in cases:
        golden(source, paths, tmp_path / f"{name}.safetensors", [0.5], brief=True, scorer=scorer)
        answers(source, tmp_path / f"{name}.json", str(pictures), "0.5", scorer=scorer)
        seen[name] = tensors(tmp_path / f"{name}.safetensors")[0], (tmp_path / f"{name}.json").read_text()
    assert seen["own"][1] == seen["asked"][1] and seen["own"][0].keys() == seen["asked"][0].keys()
    assert all(torch.equal(t, seen["asked"][0][n]) for n, t in seen["own"][0].items())
    x = torch.stack([golden_input(p, FACTS, SMALL.image_size, False) for p in paths])
    with torch.no_grad():
        want = merged(small.eval(), x, keep_counts(0.5, 16, 3), RULES["predictor+merge"])
    torch.testing.assert_close(seen["own"][0]["keep0.5.logits"], want.logits)
    assert torch.equal(seen["own"][0]["keep0.5.groups.2"], want.groups[2])
    assert not [n for n in seen["dropped"][0] if "groups" in n]
    assert not torch.equal(seen["dropped"][0]["keep0.5.logits"], want.logits)
    with pytest.raises(UserError, match="scorer 'dice': want one of predictor"):
        golden(named, paths, tmp_path / "x.safetensors", [0.5], scorer="dice")


def test_answers_are_in_the_order_of_paths(pictures, tmp_path):
    fit(settings(pictures, tmp_path / "run", epochs=1))
    source, out = tmp_path / "run" / "checkpoint.pth", tmp_path / "answers.json"
    answers(source, out, str(pictures), "1,0.5")
    got = json.loads(out.read_text())
    assert got["pictures"] == 48 and [len(v) for v in got["answers"].values()] == [48, 48]
    assert all(0 <= c < 3 for v in got["answers"].values() for c in v)
    assert set(got["ties"]) == {"1", "0.5"}


def test_resize_follows_the_image_size(model_file):
    assert load_model(model_file)[1].resize == 36
    assert load_model(model_file, image_size=2 * SMALL.image_size)[1].resize == 72
