"""Two processes under torchrun train as one."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from test_fit import command, curve, environment, settings

from dynvit_train.fit import fit


def torchrun(config, *more, program=("-m", "dynvit_train")):
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *program]
    return subprocess.run([sys.executable, *launch, *command(config), *more], env=environment(), capture_output=True)


@pytest.mark.parametrize("pruned, rounding", [(False, 2e-3), (True, 5e-2)])
def test_two_processes_have_the_loss_curve_of_one(pictures, tmp_path, pruned, rounding):
    """A dense model from scratch, and any-ratio joint training with a teacher whose outputs are kept.

    Where patches are dropped, rounding may swap two at the cut: that moves the losses of one step by some per cent.
    """
    more = dict(prune_at="none")
    if pruned:
        fit(settings(pictures, tmp_path / "start", epochs=1))
        start = str(tmp_path / "start" / "checkpoint.pth")
        more = dict(model=start, teacher="self", train="joint", freeze_epochs=0, lr=1e-3, views=1, crop=0.5)
    one = settings(pictures, tmp_path / "one", **more)
    fit(one)
    two = dataclasses.replace(one, out=str(tmp_path / "two"))
    done = torchrun(two)
    assert done.returncode == 0, done.stderr.decode()
    a, b = np.array(curve(tmp_path / "one")), np.array(curve(tmp_path / "two"))
    assert a.shape == b.shape and len(a) == 12
    np.testing.assert_allclose(a[:, :4], b[:, :4], rtol=rounding, atol=1e-5)
    # The token loss is over the patches kept, so a swap moves one step of it the most.
    np.testing.assert_allclose(a[:, 4:].mean(0), b[:, 4:].mean(0), rtol=rounding, atol=1e-5)
    assert a[-1, 1] != a[0, 1]
    # One process takes up what two began: nothing of the number of processes is in the checkpoint.
    done = torchrun(two, "--resume")
    assert done.returncode == 0, done.stderr.decode()
    assert len(curve(tmp_path / "two")) == 12


THREADS = """
import os
from dynvit_train.__main__ import main
assert main() == 0
alive = [open(f"/proc/self/task/{t}/comm").read().strip() for t in os.listdir("/proc/self/task")]
assert "python" in " ".join(alive), alive
left = [name for name in alive if "gloo" in name]
assert not left, f"threads of the process group after its end: {left}"
"""


def test_the_process_group_ends_with_the_run(pictures, tmp_path):
    """Its threads would otherwise abort the process as the interpreter ends, now and then."""
    program = tmp_path / "threads.py"
    program.write_text(THREADS)
    done = torchrun(settings(pictures, tmp_path / "run", prune_at="none", epochs=1), program=[str(program)])
    assert done.returncode == 0, done.stderr.decode()
