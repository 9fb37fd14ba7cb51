"""Placements that are none: exit code 2 or 3, one line on standard error that names what is wrong, nothing written."""

import json
import unittest

from harness import DAY, RefusalTest, npy, npz

OWN = {"schema": "evenkeel.placement/1", "layer_ids": [1, 2], "experts": 4, "gpus": 2, "nodes": 1, "slots": None,
       "physical_to_logical_map": [[0, 1, 2, 3, 0, 1], [3, 2, 1, 0, 3, 2]], "shares": None}
VLLM = {"record_type": "eplb_initial_mapping", "version": 1, "num_redundant_experts": 2, "num_slots": 6,
        "initial_global_assignments": {"0": [0, 1, 2, 3, 0, 1], "1": [3, 2, 1, 0, 3, 2]}}
ASCEND = {"moe_layer_count": 1, "layer_list": [{"layer_id": 0, "device_count": 2, "device_list": [
    {"device_id": 0, "device_expert": [0, 1, 2]}, {"device_id": 1, "device_expert": [3, 0, 1]}]}]}
TRTLLM = "initial_global_assignments:\n  3: [0, 1, 2, 3, 0, 1]\n  4: [3, 2, 1, 0, 3, 2]\nnum_slots: 6\nlayer_updates_per_iter: 0\n"


def changed(document, *path_and_value):
    """A copy with the value at a path of keys replaced."""
    copy = json.loads(json.dumps(document))
    *path, last, value = path_and_value
    place = copy
    for key in path:
        place = place[key]
    place[last] = value
    return json.dumps(copy)


class MalformedPlacements(RefusalTest):
    def refuse_map(self, content, *expected, flags=("--gpus", 2), code=2, to="evenkeel"):
        path = self.text("p.map", content)
        self.refuse(code, expected if code == 3 else ["p.map", *expected], "convert", path, "-o", self.folder / "out", "--format", to, *flags)

    # No placement at all.
    def test_absent(self):
        self.refuse(2, ["check the path"], "convert", self.folder / "absent", "-o", "-", "--format", "vllm")

    def test_empty(self):
        self.refuse_map("", "it is empty")

    def test_noise(self):
        self.refuse_map(bytes(range(256)) * 8, "no placement of a known format")
        self.refuse_map(b"\xff\xfe}\x00:" * 300, "p.map")

    def test_json_of_something_else(self):
        for text in ("{}", '{"gpus": 8}', "gpus: 8\n", "words\n", '{"record_type": "other"}', "\n"):
            self.refuse_map(text, "no placement of a known format", "trtllm")

    def test_recordings_are_named_with_the_command_that_reads_them(self):
        step = json.dumps({"record_type": "eplb_load_stats", "version": 1, "step": 7, "num_ranks": 2, "expert_load": [[1, 2]], "p2l_map": [[0, 1]]})
        for content, kind in (('{"logical_count": [[1, 2]]}', "SGLang's recorded counts"), (f"{step}\n{step}\n", "vLLM's recorded loads"),
                              (npy("|u1", "(1, 1, 1)", b"\2"), "NumPy array")):
            self.refuse_map(content, kind, "evenkeel partition")
        self.refuse(2, ["day.npz", "native NPZ trace", "evenkeel partition"], "convert", DAY, "-o", "-", "--format", "sglang")
        self.refuse(2, ["native NPZ trace"], "evaluate", DAY, "--gpus", 8, "--placement", npz(self.folder / "t.npz", ids=npy("|u1", "(1, 1, 1)", b"\0")))

    def test_folder_of_statistics(self):
        (self.folder / "statistics").mkdir()
        (self.folder / "statistics/meta_info.json").write_text('{"num_experts": 4, "num_experts_per_token": 2}')
        self.refuse(2, ["TensorRT-LLM's recorded statistics", "evenkeel partition"], "convert", self.folder / "statistics", "-o", "-", "--format", "vllm")

    # Our own, and what all JSON formats share.
    def test_truncated(self):
        for text in (json.dumps(OWN), json.dumps(VLLM), json.dumps(ASCEND), '{"physical_to_logical_map": [[0, 1], [1, 0]]}', "[[0, 1], [1, 0]]"):
            self.refuse_map(text[:-4], "not valid JSON at byte")

    def test_key_set_twice(self):
        self.refuse_map(json.dumps(VLLM).replace('"1":', '"0":'), "key '0' is set twice")
        self.refuse_map(json.dumps(OWN).replace('"nodes": 1', '"gpus": 1'), "key 'gpus' is set twice")

    def test_layers_beyond_reason(self):
        self.refuse_map(changed(OWN, "layer_ids", [1, 2000000]), "layer_ids[1] is 2000000")

    def test_flags_that_contradict_the_file(self):
        for flags in (("--gpus", 3), ("--nodes", 2), ("--layer-ids", "3-4")):
            self.refuse_map(json.dumps(OWN), flags[0], flags[1] if isinstance(flags[1], str) else str(flags[1]), "leave the flag out", flags=flags)

    # SGLang.
    def test_second_key(self):
        self.refuse_map('{"physical_to_logical_map": [[0, 1]], "slots": 2}', "which SGLang refuses")

    def test_wrong_rank(self):
        self.refuse_map('{"physical_to_logical_map": [0, 1]}', "give a list of layers")
        self.refuse_map('{"physical_to_logical_map": [[[0], [1]]]}', "physical_to_logical_map[0][0] is a list of 1")
        self.refuse_map("[[[0, 1]]]", "the list[0][0] is a list of 2")

    def test_ragged_rows(self):
        self.refuse_map('{"physical_to_logical_map": [[0, 1], [0, 1, 1]]}', "physical_to_logical_map[1] is a list of 3")
        self.refuse_map("[[0, 1], [1]]", "the list[1] is a list of 1")

    def test_id_out_of_range(self):
        for value, shown in (("-1", "-1"), ("65535", "65535"), ("1.0", "1.0"), ("true", "true"), ("null", "null"), ('"1"', '"1"'),
                             ("99999999999999999999", "1e+20"), ("18446744073709551615", "18446744073709551615")):
            self.refuse_map(f'{{"physical_to_logical_map": [[0, {value}]]}}', f"physical_to_logical_map[0][1] is {shown}")

    def test_nan(self):
        self.refuse_map("[[0, NaN]]", "holds NaN at byte")
        self.refuse_map(TRTLLM.replace("3, 0, 1]", "3, 0, .nan]"), 'initial_global_assignments.3[5] is ".nan"')

    def test_more_experts_than_slots(self):
        self.refuse_map("[[0, 2]]", "expert 2", "2 slots")

    def test_expert_without_slot(self):
        self.refuse_map('{"physical_to_logical_map": [[3, 1, 2, 0], [0, 1, 3, 3]]}', "layer 1 has no slot for expert 2")

    def test_slots_that_do_not_divide(self):
        for flags in (("--gpus", 4), ("--gpus", 0)):
            self.refuse_map('{"physical_to_logical_map": [[0, 1, 2, 3, 0, 1]]}', "6 slots do not divide", flags=flags)

    def test_number_of_gpus_that_is_nowhere(self):
        self.refuse_map("[[0, 1]]", "(--gpus)", flags=())

    def test_nodes_that_do_not_divide(self):
        self.refuse_map("[[0, 1]]", "2 GPUs on 3 nodes", flags=("--gpus", 2, "--nodes", 3))

    def test_layers_the_file_does_not_have(self):
        self.refuse_map('{"physical_to_logical_map": [[1, 0], [0, 1]]}', "has 2 rows", "last MoE layer is 4", flags=("--gpus", 2, "--layer-ids", "3-4"))
        for content in ("[[0, 1]]", changed(VLLM, "initial_global_assignments", {"0": VLLM["initial_global_assignments"]["0"]}), json.dumps(ASCEND)):
            self.refuse_map(content, "1 layers", "2 MoE layers", flags=("--gpus", 2, "--layer-ids", "3-4"))

    def test_layer_ranges_that_are_none(self):
        for text in ("", "a", "3-", "-3", "5-3", "3,3", "4-6,5", "3,", ",3", "10000", "0-99999999999"):
            self.refuse(2, ["--layer-ids"], "convert", self.text("p.map", "[[0, 1]]"), "-o", "-", "--format", "vllm", "--gpus", 2, f"--layer-ids={text}")

    def test_fewer_hidden_layers_than_the_map_needs(self):
        self.refuse(2, ["2 hidden layers", "give 3 to", "(--hidden-layers)"], "convert", self.text("p.map", json.dumps(OWN)), "-o", self.folder / "out",
                    "--format", "sglang", "--hidden-layers", 2)

    # vLLM.
    def test_counts_that_lie(self):
        self.refuse_map(changed(VLLM, "num_slots", 7), "is a list of 6; num_slots asks for 7")
        self.refuse_map(changed(VLLM, "num_slots", 1000000), "num_slots asks for 1000000")
        self.refuse_map(changed(VLLM, "num_redundant_experts", 1), "num_redundant_experts is 1", "write 2")
        self.refuse_map(TRTLLM.replace("slots: 6", "slots: 5"), "num_slots asks for 5")
        self.refuse_map(changed(ASCEND, "moe_layer_count", 2), "layer_list is a list of 1 but moe_layer_count is 2")
        self.refuse_map(changed(ASCEND, "layer_list", 0, "device_count", 3), "device_list is a list of 2 but device_count is 3")

    def test_version_of_another_day(self):
        self.refuse_map(changed(VLLM, "version", 2), "version is 2")

    def test_missing_and_unknown_keys(self):
        missing = {key: value for key, value in VLLM.items() if key != "num_slots"}
        self.refuse_map(json.dumps(missing), "key 'num_slots' is missing")
        self.refuse_map(changed(VLLM, "nun_slots", 6), "unknown key 'nun_slots'; did you mean 'num_slots'?")

    def test_layers_with_gaps_and_odd_names(self):
        rows = VLLM["initial_global_assignments"]
        self.refuse_map(changed(VLLM, "initial_global_assignments", {"0": rows["0"], "2": rows["1"]}), "layers 0,2", "without gaps")
        for name in ("01", "-1", "0x1", "one", "1.0", "10000", ""):
            self.refuse_map(changed(VLLM, "initial_global_assignments", {"0": rows["0"], name: rows["1"]}), f"key '{name}' is no layer")
        self.refuse_map(changed(VLLM, "initial_global_assignments", {}), "give a map from layer")

    def test_one_list_without_layers(self):
        self.refuse_map("[0, 1]", "--layer-ids")

    def test_empty_list(self):
        self.refuse_map("[]", "give a list of layers")

    # TensorRT-LLM.
    def test_unknown_yaml_key(self):
        self.refuse_map(TRTLLM + "num_slot: 6\n", "unknown key 'num_slot'; did you mean 'num_slots'?")

    def test_layer_set_twice_in_yaml(self):
        self.refuse_map(TRTLLM.replace("  4:", "  3:"), "line 3", "key '3' is set twice")

    def test_aliases_that_stand_for_gigabytes(self):
        bomb = "a: &a [0, 0, 0, 0, 0, 0, 0, 0, 0]\n"
        bomb += "".join(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi"))
        self.refuse_map(bomb, "line 1", "anchor")
        self.refuse_map(TRTLLM.replace("4: [3, 2, 1, 0, 3, 2]", "4: *row"), "cannot be read as YAML")

    def test_yaml_that_does_more_than_data(self):
        self.refuse_map(TRTLLM.replace("6", "!!int 6"), "line 4", "tag")
        self.refuse_map(TRTLLM + "---\n" + TRTLLM, "line 6", "second document")
        self.refuse_map("a: " + "[" * 100000, "line 1 cannot be read as YAML")
        self.refuse_map("a: " + "[" * 50 + "0" + "]" * 50, "line 1", "nests deeper than 8")
        self.refuse_map("? [0, 1]\n: 2\n", "line 1", "key is a list or map")

    def test_yaml_numbers_that_readers_differ_on(self):
        for value in ("010", "0x1", "1_0", "+1", "1.0", "'1'", "~", "1e0"):
            self.refuse_map(TRTLLM.replace("[0, 1, 2, 3, 0, 1]", f"[0, {value}, 2, 3, 0, 1]"), "initial_global_assignments.3[1] is")

    def test_truncated_yaml(self):
        self.refuse_map(TRTLLM[:60], "cannot be read as YAML")
        self.refuse_map(TRTLLM[:TRTLLM.index("num_slots")], "key 'num_slots' is missing")

    # vllm-ascend.
    def test_devices_of_unequal_size(self):
        self.refuse_map(changed(ASCEND, "layer_list", 0, "device_list", 1, "device_expert", [3, 0]), "device_list[1].device_expert is a list of 2")
        self.refuse_map(changed(ASCEND, "layer_list", 0, "device_list", 0, "device_expert", []), "device_list[0].device_expert is a list of 0")
        self.refuse_map(changed(ASCEND, "layer_list", 0, "device_list", 0, "device_expert", 3), "device_list[0].device_expert is 3")

    def test_expert_twice_on_a_device(self):
        self.refuse_map(changed(ASCEND, "layer_list", 0, "device_list", 1, "device_expert", [3, 0, 3]), "holds expert 3 twice")
        self.refuse_map(changed(OWN, "physical_to_logical_map", 0, [0, 0, 2, 3, 0, 1]), "GPU 0 holds expert 0 of layer 1 twice", code=3, to="ascend", flags=())

    def test_devices_that_come_and_go(self):
        second = {"layer_id": 1, "device_count": 1, "device_list": [{"device_id": 0, "device_expert": [0, 1, 2]}]}
        self.refuse_map(json.dumps({"moe_layer_count": 2, "layer_list": [ASCEND["layer_list"][0], second]}), "device_count is 1 but layer 0 has 2")

    # The map that runs.
    def test_running_map_of_another_shape(self):
        planned = self.text("planned.json", json.dumps(OWN))
        for content, words in ((changed(OWN, "layer_ids", [1, 3]), "2 layers (1,3)"), ("[[0, 1, 2, 3], [0, 1, 2, 3]]", "numbers of slots"),
                               ("[[0, 1, 2, 3]]", "1 layers"), ("[[0, 1, 2], [0, 1, 2]]", "do not divide")):
            self.refuse(2, ["running.json", words], "convert", planned, "-o", self.folder / "out", "--format", "ascend", "--from",
                        self.text("running.json", content))


if __name__ == "__main__":
    unittest.main()
