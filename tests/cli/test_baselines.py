"""Baselines as users run them: each form of EPLB under a name of its own."""

import json
import unittest

from harness import CommandTest, run

# Both groups of each layer are uneven inside, so that packing them to nodes is another placement.
COUNTS = [[90, 10, 20, 5, 40, 1, 2, 3], [7, 60, 2, 9, 30, 80, 4, 1]]
GLOBAL = ["contiguous", "lpt", "eplb", "evenkeel"]
BOTH = ["contiguous", "lpt", "eplb", "eplb-hierarchical", "evenkeel"]


class Eplb(CommandTest):
    def setUp(self):
        super().setUp()
        self.counts = self.folder / "counts.json"
        self.counts.write_text(json.dumps({"logical_count": COUNTS}))

    def rows(self, *args):
        scores = self.json_of("compare", self.counts, "--gpus", 4, "--work", 1000, "--json", *args)
        return [row["strategy"] for row in scores["rows"]]

    def placement(self, strategy, *args):
        return self.succeed("partition", self.counts, "--gpus", 4, "--strategy", strategy, "-o", "-", *args).stdout

    def model(self, groups):
        path = self.folder / "model.yaml"
        path.write_text(f"name: grouped\nhidden_layers: 2\nexperts: 8\ntop_k: 2\nrouting_groups: {groups}\nhidden_size: 64\n"
                        "moe_intermediate_size: 32\nweight_precision: bf16\n")
        return path

    def test_is_compared_in_both_forms_where_groups_divide_over_nodes(self):
        self.assertEqual(self.rows("--nodes", 2, "--groups", 2), BOTH)
        self.assertEqual(self.rows("--nodes", 2, "--groups", 4), BOTH)
        self.assertEqual(self.rows("--nodes", 2, "--model", self.model(4)), BOTH)

    def test_is_compared_in_the_global_form_alone_elsewhere(self):
        self.assertEqual(self.rows(), GLOBAL)
        self.assertEqual(self.rows("--nodes", 2), GLOBAL)
        self.assertEqual(self.rows("--groups", 4), GLOBAL)
        self.assertEqual(self.rows("--nodes", 4, "--groups", 2), GLOBAL)

    def test_is_global_whatever_the_groups_and_the_model(self):
        plain = self.placement("eplb", "--nodes", 2)
        self.assertEqual(self.placement("eplb", "--nodes", 2, "--groups", 4), plain)
        self.assertEqual(self.placement("eplb", "--nodes", 2, "--model", self.model(4)), plain)
        self.assertNotEqual(self.placement("eplb-hierarchical", "--nodes", 2, "--groups", 2), plain)

    def test_keeps_groups_together_in_its_hierarchical_form(self):
        row = json.loads(self.placement("eplb-hierarchical", "--nodes", 2, "--groups", 2))["physical_to_logical_map"][0]
        self.assertEqual([set(row[:4]), set(row[4:])], [{0, 1, 2, 3}, {4, 5, 6, 7}])

    def test_is_refused_in_its_hierarchical_form_where_groups_do_not_divide(self):
        for groups, words in ((1, "1 group does not divide over 4 nodes"), (2, "2 groups do not divide over 4 nodes")):
            for command in (("partition", "-o", "-", "--strategy"), ("compare", "--strategies")):
                result = run(command[0], self.counts, *command[1:], "eplb-hierarchical", "--gpus", 4, "--nodes", 4, "--groups", groups)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertIn(words, result.stderr)
                self.assertIn("--groups", result.stderr)

    def test_is_replayed_in_the_form_that_is_named(self):
        self.counts.write_text(json.dumps({"logical_count": [COUNTS] * 3}))
        replayed = self.json_of("replay", self.counts, "--gpus", 4, "--nodes", 2, "--model", self.model(2), "--policy", "every:1:eplb",
                                "--policy", "every:1:eplb-hierarchical", "--json")
        self.assertEqual([policy["policy"] for policy in replayed["policies"]],
                         ["never", "every:1:eplb", "every:1:eplb-hierarchical"])


if __name__ == "__main__":
    unittest.main()
