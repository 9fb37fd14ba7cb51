"""MoETuner's experiment: the table, and that evenkeel is never behind MoETuner's two stages solved well."""

import unittest

import paths  # noqa: F401  (first: the modules below are found through it)

import moetuner
from results_table import splice
from harness import NO_DATA, CommandTest, skip_file


class Experiment(CommandTest):
    def test_evenkeel_is_ahead_of_moetuner_on_mixtrals_shape(self):
        cases = list(moetuner.cases("mixtral-like"))
        self.assertEqual(len(cases), 4)
        for case in cases:
            # Some 4 s; by work, so that a slow machine's answers are no others.
            gains = moetuner.speed_ups(moetuner.step_seconds(case, "--work", 20_000_000))
            self.assertGreaterEqual(gains["evenkeel"], gains["moetuner-strong"], case)
            self.assertGreater(gains["moetuner-strong"], 0, case)
            self.assertEqual(gains["contiguous"], 0)

    def test_the_table_has_a_row_a_case_and_published_figures_for_mixtrals_shape_alone(self):
        gains = {"contiguous": 0.0, "moetuner": None, "moetuner-strong": 5.04, "evenkeel": 6.0}
        mixtral = moetuner.Case("mixtral-like", None, moetuner.MIXTRAL, moetuner.SETTINGS[1], "dispatch")
        other = moetuner.Case("gpt-oss", None, "gpt-oss-20b", moetuner.SETTINGS[0], "resident")
        rows = moetuner.table([(mixtral, gains), (other, gains)]).splitlines()[2:]
        self.assertEqual(rows, ["| mixtral-like | 2 | dispatch | - | 5.0 % | 6.0 % | 17.5 % |",
                                "| gpt-oss | 1 | resident | - | 5.0 % | 6.0 % | - |"])

    def test_the_document_has_its_markers(self):
        splice((moetuner.ROOT / "docs/results.md").read_text(), "", "moetuner")


if __name__ == "__main__":
    if not any(moetuner.cases("mixtral-like")):
        skip_file(NO_DATA)
    unittest.main()
