"""The NumPy port of EPLB: its published example, and the port in C++."""

import json
import unittest

import paths  # noqa: F401  (first: the modules below are found through it)

import numpy as np
from balance import gpu_loads, mean_imbalance
from eplb_numpy import rebalance_experts
from harness import CommandTest

# The example of EPLB's README: 16 slots, 4 groups, 2 nodes, 8 GPUs.
COUNTS = [[90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86], [20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27]]
MAP = [[5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1], [7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1]]

# experts, redundant slots, groups, nodes, GPUs: global, hierarchical, groups that do not divide, one slot a GPU.
SHAPES = [(32, 0, 1, 1, 8), (64, 16, 1, 2, 16), (64, 16, 8, 2, 16), (64, 32, 8, 4, 8), (48, 16, 3, 2, 16), (24, 8, 4, 4, 32)]


def random_counts(seed, layers, experts):
    """Skewed loads with ties and some idle experts."""
    draw = np.random.default_rng(seed)
    return (1000 * draw.pareto(1.2, size=(layers, experts))).astype(int) // 50 * 50


class Published(unittest.TestCase):
    def test_reproduces_the_published_map(self):
        self.assertEqual(rebalance_experts(COUNTS, 16, 4, 2, 8).tolist(), MAP)


class Balance(unittest.TestCase):
    def test_splits_a_load_over_the_slots_of_its_expert(self):
        self.assertEqual(gpu_loads([[6, 2]], [[0, 0, 0, 1]], 2).tolist(), [[4, 4]])

    def test_leaves_out_layers_without_load(self):
        self.assertEqual(mean_imbalance([[3, 1], [0, 0]], [[0, 1], [0, 1]], 2), 1.5)

    def test_refuses_a_map_that_forgets_an_expert(self):
        with self.assertRaises(ValueError):
            gpu_loads([[3, 1]], [[0, 0]], 2)


class AgreesWithTheProgram(CommandTest):
    def test_loads_of_every_gpu(self):
        for seed, (experts, redundant, groups, nodes, gpus) in enumerate(SHAPES):
            with self.subTest(experts=experts, groups=groups, nodes=nodes, gpus=gpus):
                counts = random_counts(seed, 5, experts)
                trace, out = self.folder / "counts.json", self.folder / "map.json"
                trace.write_text(json.dumps({"logical_count": counts.tolist()}))
                self.succeed("partition", trace, "--strategy", "eplb-hierarchical" if groups % nodes == 0 else "eplb", "--gpus", gpus, "--nodes", nodes, "--groups", groups,
                             "--redundant", redundant, "-o", out)
                theirs = gpu_loads(counts, json.loads(out.read_text())["physical_to_logical_map"], gpus)
                ours = gpu_loads(counts, rebalance_experts(counts, experts + redundant, groups, nodes, gpus), gpus)
                np.testing.assert_allclose(ours, theirs, rtol=1e-12)


if __name__ == "__main__":
    unittest.main()
