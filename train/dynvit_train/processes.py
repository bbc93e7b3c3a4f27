"""Several processes that train as one (torchrun): gloo on CPUs, NCCL on GPUs."""

import os

import torch
from torch import distributed


class Processes:
    """This process among those that torchrun started; alone without it. close() when done."""

    def __init__(self, device):
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0")) if self.world > 1 else 0
        self.device = torch.device(device)
        if self.device.type == "cuda":
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(self.device)
        if self.world > 1:
            # Ahead of the group: these functions take the group of the moment of import as their default, and PyTorch
            # imports them late (torch.optim). The group then outlives destroy_process_group, and gloo's threads, alive
            # as the interpreter ends, abort the process now and then (pytorch/pytorch issue 190489).
            from torch.distributed.nn import functional  # noqa: F401

            distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")

    @property
    def first(self):
        return self.rank == 0

    def mean(self, tensor):
        """The mean over processes of a detached tensor."""
        if self.world == 1:
            return tensor
        tensor = tensor.clone()
        distributed.all_reduce(tensor)
        return tensor / self.world

    def average_gradients(self, parameters):
        """One flat buffer for all: models of this size gain nothing from overlapping it with the backward pass, and
        which parameters are frozen may change from epoch to epoch."""
        if self.world == 1:
            return
        grads = [p.grad for p in parameters if p.grad is not None]
        flat = self.mean(torch.cat([g.flatten() for g in grads]))
        for g, part in zip(grads, flat.split([g.numel() for g in grads])):
            g.copy_(part.view_as(g))

    def wait(self):
        if self.world > 1:
            distributed.barrier()

    def one_by_one(self, make):
        """make() of each process, the first of a machine ahead of its others, which find what it made."""
        first = self.world == 1 or os.environ.get("LOCAL_RANK", "0") == "0"
        made = make() if first else None
        self.wait()
        return made if first else make()

    def gather(self, values):
        """The lists of all processes as one sorted set."""
        if self.world == 1:
            return set(values)
        parts = [None] * self.world
        distributed.all_gather_object(parts, list(values))
        return {v for part in parts for v in part}

    def close(self):
        if self.world > 1:
            distributed.destroy_process_group()
