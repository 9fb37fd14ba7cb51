"""Balance of a placement, worked out apart from the solver that made it."""

import numpy as np


def gpu_loads(counts, expert_of_slot, gpus):
    """Load of each GPU, float64 [layers, gpus]; an expert's load is split evenly over its slots."""
    counts = np.asarray(counts, dtype=np.float64)
    expert_of_slot = np.asarray(expert_of_slot)
    layers, slots = expert_of_slot.shape
    copies = np.zeros_like(counts)
    np.add.at(copies, (np.arange(layers)[:, None], expert_of_slot), 1)
    if not copies.all():
        raise ValueError("the placement leaves an expert without a slot")
    return np.take_along_axis(counts / copies, expert_of_slot, axis=1).reshape(layers, gpus, slots // gpus).sum(axis=2)


def mean_imbalance(counts, expert_of_slot, gpus):
    """Largest over mean GPU load, mean over the layers that have load."""
    loads = gpu_loads(counts, expert_of_slot, gpus)
    loads = loads[loads.any(axis=1)]
    return float((loads.max(axis=1) / loads.mean(axis=1)).mean())
