"""Replicas on the command line: copies, uneven splits, second copies."""

import collections
import json
import unittest

from harness import DATA, NO_DATA, RefusalTest

DEEPSEEK = DATA / "deepseek-v3"
FLASHLB = [600, 560, 120, 120, 20, 10, 10, 10]


class Replicas(RefusalTest):
    def setUp(self):
        super().setUp()
        self.trace = self.text("counts.json", json.dumps({"logical_count": [FLASHLB]}))
        self.output = self.folder / "placement.json"

    def partition(self, trace, *options):
        row = self.json_of("partition", trace, *options, "-o", self.output, "--json")
        return row, json.loads(self.output.read_text())

    def gpu_loads(self, placement, load):
        """Counted here, from the file alone."""
        row = placement["physical_to_logical_map"][0]
        copies = collections.Counter(row)
        shares = placement["shares"][0] if placement["shares"] else [1 / copies[expert] for expert in row]
        slots = len(row) // placement["gpus"]
        return [sum(load[e] * s for e, s in list(zip(row, shares))[g * slots:(g + 1) * slots]) for g in range(placement["gpus"])]


class Replication(Replicas):
    def test_copies_and_shares_even_out_the_load(self):
        for split, most in (("even", 590 / 3), ("uneven", 1450 / 8)):
            row, placement = self.partition(self.trace, "--gpus", 8, "--redundant", 8, "--split", split, "--work", 1_000_000)
            loads = self.gpu_loads(placement, FLASHLB)
            self.assertLessEqual(max(loads), most + 1e-9)
            self.assertAlmostEqual(row["in_sample"]["imbalance_mean"], max(loads) * 8 / 1450)
            self.assertEqual(row["in_sample"]["duplicate_slots"], 0)
            self.assertEqual(placement["shares"] is None, split == "even")
            scores = self.json_of("evaluate", self.trace, "--gpus", 8, "--placement", self.output, "--json")
            self.assertAlmostEqual(scores["rows"][0]["in_sample"]["imbalance_mean"], max(loads) * 8 / 1450)

    def test_a_format_without_shares_says_so(self):
        result = self.succeed("partition", self.trace, "--gpus", 8, "--redundant", 8, "--split", "uneven", "--work", 100_000,
                              "--format", "sglang", "-o", self.output)
        self.assertIn("shares of replicas", result.stderr)

    def test_every_expert_survives_the_loss_of_a_node(self):
        _, placement = self.partition(self.trace, "--gpus", 8, "--nodes", 2, "--redundant", 16, "--survive", 1, "--work", 1_000_000)
        row = placement["physical_to_logical_map"][0]
        for gpus in [range(gpu, gpu + 1) for gpu in range(8)] + [range(4), range(4, 8)]:
            left = {expert for slot, expert in enumerate(row) if slot // 3 not in gpus}
            self.assertEqual(left, set(range(8)), gpus)

    def test_too_few_slots_to_survive_are_refused(self):
        self.refuse(3, ["0 redundant slots", "8 would do"], "partition", self.trace, "--gpus", 8, "--survive", 1, "-o", self.output)
        self.refuse(2, ["strategy eplb", "evenkeel"], "partition", self.trace, "--gpus", 8, "--redundant", 8, "--survive", 1,
                    "--strategy", "eplb", "-o", self.output)
        self.refuse(2, ["--split", "uneven"], "partition", self.trace, "--gpus", 8, "--split", "odd", "-o", self.output)


@unittest.skipUnless(DEEPSEEK.is_dir(), NO_DATA)
class DeepSeek(Replicas):
    def test_recorded_loads_are_even_with_32_replicas(self):
        traces = sorted(DEEPSEEK.glob("*.json"))
        self.assertEqual(len(traces), 6)
        for trace in traces:
            row, _ = self.partition(trace, "--gpus", 32, "--redundant", 32, "--time", "5s")
            self.assertLessEqual(row["in_sample"]["imbalance_mean"], 1.0005, trace.name)
            self.assertEqual(row["in_sample"]["duplicate_slots"], 0, trace.name)

    def test_an_uneven_split_evens_out_what_copies_leave(self):
        trace = DEEPSEEK / "prefill_in1024.json"
        even, uneven = (self.partition(trace, "--gpus", 32, "--redundant", 32, "--work", 2_000_000, "--split", split)[0]["in_sample"]
                        for split in ("even", "uneven"))
        self.assertLess(uneven["imbalance_mean"], even["imbalance_mean"])


if __name__ == "__main__":
    unittest.main()
