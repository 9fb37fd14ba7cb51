"""Bad input: exit code 2 or 3, one line on standard error that names what is wrong, nothing written."""

import json
import os
import struct
import unittest
import zipfile

from harness import DAY, RefusalTest, npy, npz, run

IDS = npy("|u1", "(4, 2, 2)", bytes([0, 1, 2, 3] * 4))


class Malformed(RefusalTest):
    def refuse_trace(self, path, *expected):
        self.refuse(2, [path.name, *expected], "partition", path, "--gpus", 2, "-o", self.folder / "out.json")

    # Traces that are no traces.
    def test_absent_file(self):
        self.refuse_trace(self.folder / "absent.npz", "cannot be read", "check the path")

    def test_empty_file(self):
        self.refuse_trace(self.text("empty.npz", ""), "empty")

    def test_unknown_content(self):
        self.refuse_trace(self.text("noise.bin", b"\x00\x01\x02" * 100), "no known trace format")

    def test_pipe(self):
        os.mkfifo(self.folder / "pipe")
        self.refuse_trace(self.folder / "pipe", "pipe or device")

    def test_folder(self):
        (self.folder / "sub").mkdir()
        self.refuse_trace(self.folder / "sub", "folder")

    # NPZ.
    def test_truncated_zip(self):
        whole = npz(self.folder / "whole.npz", ids=IDS).read_bytes()
        self.refuse_trace(self.text("cut.npz", whole[:len(whole) // 2]), "zip")

    def test_damaged_zip_data(self):
        whole = bytearray(npz(self.folder / "whole.npz", ids=npy("|u1", "(4096, 2, 2)", bytes(range(4)) * 4096)).read_bytes())
        whole[60:80] = b"\xff" * 20
        self.refuse_trace(self.text("damaged.npz", bytes(whole)), "ids")

    def test_archive_without_ids(self):
        self.refuse_trace(npz(self.folder / "t.npz", other=IDS), "'ids' is missing")

    def test_lying_header(self):
        self.refuse_trace(npz(self.folder / "t.npz", ids=npy("|u1", "(2000000000, 2, 2)", b"\0" * 16)), "claims shape (2000000000, 2, 2)")

    def test_wrong_rank(self):
        self.refuse_trace(npz(self.folder / "t.npz", ids=npy("|u1", "(4, 4)", bytes(16))), "shape (4, 4)", "[tokens, layers, top-k]")

    def test_float_ids(self):
        self.refuse_trace(npz(self.folder / "t.npz", ids=npy("<f4", "(1, 1, 1)", struct.pack("<f", 1))), "kind 'f'")

    def test_object_ids(self):
        self.refuse_trace(npz(self.folder / "t.npz", ids=npy("|O", "(1, 1, 1)", b"\0" * 8)), "dtype")

    def test_items_without_bytes(self):
        self.refuse_trace(npz(self.folder / "t.npz", ids=npy("<i0", "(4, 2, 2)", b"")), "dtype")

    def test_integers_of_odd_size(self):
        self.refuse_trace(npz(self.folder / "t.npz", ids=npy("<i3", "(1, 1, 1)", bytes(3))), "dtype")

    def test_more_labels_than_sequences(self):
        self.refuse_trace(npz(self.folder / "t.npz", ids=IDS, window=npy("|u1", "(2,)", b"\0\1")), "window", "at most 1")

    def test_expert_number_beyond_reason(self):
        ids = npy("<u2", "(1, 3, 1)", struct.pack("<3H", 60000, 1, 2))
        self.refuse(2, ["GB"], "partition", npz(self.folder / "t.npz", ids=ids), "--gpus", 1, "-o", self.folder / "out.json")

    def test_no_tokens(self):
        self.refuse_trace(npz(self.folder / "t.npz", ids=npy("|u1", "(0, 2, 2)", b"")), "no token")

    def test_expert_below_minus_one(self):
        self.refuse_trace(npz(self.folder / "t.npz", ids=npy("|i1", "(1, 1, 2)", b"\x01\xfb")), "ids[0, 0, 1] is -5")

    def test_expert_named_twice(self):
        self.refuse_trace(npz(self.folder / "t.npz", ids=npy("|u1", "(1, 1, 3)", b"\x01\x01\x02")), "expert 1 twice", "--model", "-1")

    def test_expert_beyond_the_model(self):
        path = npz(self.folder / "t.npz", ids=IDS)
        self.refuse(2, ["expert 3", "--experts"], "partition", path, "--gpus", 2, "--experts", 3, "-o", self.folder / "out.json")

    def test_sequence_starts_that_fall(self):
        self.refuse_trace(npz(self.folder / "t.npz", ids=IDS, seq_start=npy("<i8", "(4,)", struct.pack("<4q", 0, 3, 2, 4))), "seq_start[2] is 2")

    def test_sequence_starts_that_end_early(self):
        self.refuse_trace(npz(self.folder / "t.npz", ids=IDS, seq_start=npy("<i8", "(2,)", struct.pack("<2q", 0, 3))), "seq_start", "tokens, 4")

    def test_layer_ids_of_another_length(self):
        self.refuse_trace(npz(self.folder / "t.npz", ids=IDS, layer_ids=npy("<i8", "(3,)", struct.pack("<3q", 0, 1, 2))), "layer_ids has 3")

    def test_unknown_stage(self):
        self.refuse_trace(npz(self.folder / "t.npz", ids=IDS, stage=npy("|S6", "(1,)", b"warmup")), "stage[0] is 'warmup'")

    # SGLang counts.
    def test_broken_json(self):
        self.refuse_trace(self.text("c.json", '{"logical_count": [[1, 2'), "not valid JSON at byte")

    def test_json_without_counts(self):
        self.refuse_trace(self.text("c.json", '{"expert_count": [[1, 2]]}'), "logical_count")

    def test_negative_count(self):
        self.refuse_trace(self.text("c.json", '{"logical_count": [[1, -2]]}'), "logical_count[0][1] is -2")

    def test_fractional_count(self):
        self.refuse_trace(self.text("c.json", '{"logical_count": [[1, 2.5]]}'), "logical_count[0][1] is 2.5")

    def test_nan_count(self):
        self.refuse_trace(self.text("c.json", '{"logical_count": [[1, NaN]]}'), "holds NaN at byte")

    def test_counts_beyond_reason(self):
        path = self.text("c.json", '{"logical_count": [[20000000000000, 1]]}')
        self.refuse(2, ["layer 0 counts more than"], "partition", path, "--gpus", 2, "--strategy", "contiguous", "-o", self.folder / "out.json")

    def test_recordings_of_different_models(self):
        first = self.text("a.json", '{"logical_count": [[1, 2]]}')
        for rows in ("[[1, 2], [3, 4]]", "[[1, 2, 3]]"):
            second = self.text("b.json", f'{{"logical_count": {rows}}}')
            self.refuse(2, ["b.json", "one model"], "partition", first, second, "--gpus", 1, "-o", self.folder / "out.json")

    def test_ragged_counts(self):
        self.refuse_trace(self.text("c.json", '{"logical_count": [[1, 2], [3]]}'), "logical_count[1] is a list of 1")

    def test_counts_that_are_all_zero(self):
        self.refuse_trace(self.text("c.json", '{"logical_count": [[0, 0]]}'), "is all zero")

    def test_loads_of_one_window_cannot_be_held_out(self):
        path = self.text("c.json", '{"logical_count": [[1, 2]]}')
        self.refuse(2, ["holdout 0.5"], "compare", path, "--gpus", 2, "--holdout", 0.5)

    # Clusters and settings.
    def test_unknown_yaml_key(self):
        cluster = self.text("cluster.yaml", "gpu: 8\n")
        self.refuse(2, ["cluster.yaml", "unknown key 'gpu'", "did you mean 'gpus'?"], "compare", DAY, "--cluster", cluster)

    def test_cluster_that_does_not_divide_the_experts(self):
        self.refuse(3, ["64 experts", "7 GPUs", "6 redundant slots would"], "partition", DAY, "--gpus", 7, "-o", self.folder / "out.json")

    def test_nodes_that_do_not_divide_the_gpus(self):
        self.refuse(3, ["8 GPUs", "3 nodes"], "partition", DAY, "--gpus", 8, "--nodes", 3, "-o", self.folder / "out.json")

    def test_empty_map_in_yaml(self):
        cluster = self.text("cluster.yaml", "gpus: 8\ntypo: {}\n")
        self.refuse(2, ["unknown key 'typo'"], "compare", DAY, "--cluster", cluster)

    def test_two_documents_in_yaml(self):
        cluster = self.text("cluster.yaml", "gpus: 8\n---\nnodes: 2\n")
        self.refuse(2, ["key 'name' is missing"], "compare", DAY, "--cluster", cluster)
        cluster = self.text("groups.yaml", "name: a\ngpus: 8\n---\nname: b\nnodes: 2\n")
        self.refuse(2, ["key 'gpus' is missing", "document 2"], "compare", DAY, "--cluster", cluster)

    def test_more_redundant_slots_than_are_of_use(self):
        for strategy in ("contiguous", "eplb", "evenkeel"):
            self.refuse(3, ["at most 448 are of use"], "partition", DAY, "--gpus", 8, "--redundant", 456, "--strategy", strategy, "-o",
                        self.folder / "out.json")

    def test_two_outputs_on_stdout(self):
        self.refuse(2, ["standard output"], "partition", DAY, "--gpus", 8, "--json", "-o", "-")

    def test_no_cluster(self):
        self.refuse(2, ["--gpus N"], "compare", DAY)

    def test_objective_without_two_weights(self):
        for text in ("weighted", "weighted:1", "weighted:1,", "weighted:a,b", "weighted:-1,1", "weighted:1,2,3", "weighted:nan,1", "lexi"):
            self.refuse(2, ["--objective"], "compare", DAY, "--gpus", 8, "--objective", text)

    def test_weighted_objective_of_dispatch(self):
        self.refuse(2, ["resident"], "compare", DAY, "--gpus", 8, "--objective", "weighted:1,1", "--comm", "dispatch")

    def test_threads_out_of_range(self):
        for threads in (0, 3, -1):
            self.refuse(2, ["--threads"], "compare", DAY, "--gpus", 8, "--threads", threads)

    def test_unknown_stage_to_leave_out(self):
        self.refuse(2, ["--without"], "compare", DAY, "--gpus", 8, "--without", "magic")

    def test_unknown_strategy(self):
        self.refuse(2, ["'epbl'", "did you mean 'eplb'?"], "compare", DAY, "--gpus", 8, "--strategies", "epbl")

    def test_unknown_flag(self):
        self.refuse(2, ["--strategis", "did you mean '--strategies'?"], "compare", DAY, "--gpus", 8, "--strategis", "eplb")

    def test_unknown_command(self):
        self.refuse(2, ["did you mean 'compare'?"], "compair", DAY)

    def test_flag_values_out_of_range(self):
        for flag, value in (("--slack", -1), ("--slack", "nan"), ("--seed", -1), ("--work", -1), ("--redundant", "1e3"), ("--time", "fast"), ("--time", "-3s"), ("--gpus", -8), ("--gpus", "many"),
                            ("--holdout", 1), ("--groups", 5), ("--batch-tokens", 0)):
            others = [] if flag == "--gpus" else ["--gpus", 8]
            self.refuse(2, [], "compare", DAY, *others, flag, value)

    # Placements.
    def test_placement_of_another_model(self):
        placement = self.text("p.json", json.dumps({"schema": "evenkeel.placement/1", "layer_ids": [0], "experts": 2, "gpus": 2, "nodes": 1,
                                                    "slots": None, "physical_to_logical_map": [[0, 1]], "shares": None}))
        self.refuse(2, ["p.json", "placement of this model"], "evaluate", DAY, "--gpus", 2, "--placement", placement)

    def test_placement_without_an_expert(self):
        rows = [list(range(63)) + [0]] * 8
        placement = self.text("p.json", json.dumps({"physical_to_logical_map": rows}))
        self.refuse(2, ["p.json", "no slot for expert 63"], "evaluate", DAY, "--gpus", 8, "--placement", placement)

    def test_folder_as_placement(self):
        self.refuse(2, ["is a folder"], "evaluate", DAY, "--gpus", 8, "--placement", self.folder)

    def test_failed_map_leaves_no_report(self):
        report = self.folder / "report.json"
        result = run("partition", DAY, "--gpus", 8, "--strategy", "lpt", "-o", self.folder / "none/p.json", "--report", report)
        self.assertEqual(result.returncode, 1)
        self.assertFalse(report.exists())

    def test_output_folder_that_is_not_there(self):
        result = run("partition", DAY, "--gpus", 8, "--strategy", "lpt", "-o", self.folder / "none/p.json")
        self.assertEqual(result.returncode, 1)
        self.assertIn("cannot be written", result.stderr)


if __name__ == "__main__":
    unittest.main()
