"""Two processes under torchrun train as one."""

import dataclasses
import subprocess
import sys

import numpy as np
from test_fit import command, curve, environment, settings

from dynvit_train.fit import fit


def torchrun(config, *more):
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "dynvit_train"]
    return subprocess.run([sys.executable, *launch, *command(config), *more], env=environment(), capture_output=True)


def test_two_processes_have_the_loss_curve_of_one(pictures, tmp_path):
    """Any-ratio joint training with a teacher whose outputs are kept."""
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
    np.testing.assert_allclose(a[:, :5], b[:, :5], rtol=2e-3, atol=1e-5)
    # The token loss is over the patches kept: rounding may swap two at the cut, which moves it by one patch's share.
    np.testing.assert_allclose(a[:, 5], b[:, 5], rtol=0.1)
    assert a[-1, 1] != a[0, 1]
    # One process takes up what two began: nothing of the number of processes is in the checkpoint.
    done = torchrun(two, "--resume")
    assert done.returncode == 0, done.stderr.decode()
    assert len(curve(tmp_path / "two")) == 12
