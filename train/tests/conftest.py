"""What the tests share: the reference data, drawn pictures, small models."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dynvit_train.model import DynamicViT, Shape

torch.set_num_threads(1)
SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture(scope="session")
def shared():
    """Path of the reference data beside the repository; without it the test skips, or fails under DYNVIT_REQUIRE."""

    def find(*parts):
        path = SHARED.joinpath(*parts)
        if not path.exists():
            message = f"needs ../shared: {path} is absent"
            pytest.fail(message) if os.environ.get("DYNVIT_REQUIRE") else pytest.skip(message)
        return path

    return find


SMALL = Shape(width=16, depth=4, heads=2, hidden=32, classes=3, image_size=32, patch_size=8, prune_at=(1, 2, 3))


@pytest.fixture
def small():
    torch.manual_seed(0)
    return DynamicViT(SMALL)


def draw(path, kind, seed, size=40):
    """Writes a noisy picture whose class is the colour of a square on it."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(60, 120, (size, size, 3), dtype=np.uint8)
    y, x = rng.integers(2, size // 2, 2)
    pixels[y : y + size // 3, x : x + size // 3] = np.eye(3, dtype=np.uint8)[kind] * 200 + 30
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of three classes of drawn pictures, 16 each."""
    root = tmp_path_factory.mktemp("pictures")
    for kind, name in enumerate(("blue", "green", "red")):
        for i in range(16):
            draw(root / name / f"{i:02d}.png", kind, 100 * kind + i)
    return root
