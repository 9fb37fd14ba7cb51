"""What each engine accepts as a placement, apart from the programs under test.

Each function takes the file's text and the GPUs it is for, raises AssertionError where the engine would refuse it (or fill in what
it was not given), and returns {layer: [experts of GPU 0, experts of GPU 1, ...]} with layers as the file numbers them. The rules
are those of docs/reference/formats.md.
"""

import json

import yaml


def no_repeats(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"keys {keys} repeat"
    return dict(pairs)


def refuse_constant(name):
    raise AssertionError(f"{name} is no JSON")


def strict_json(text):
    assert isinstance(text, str) and text.endswith("\n"), "the last line is not ended"
    return json.loads(text, object_pairs_hook=no_repeats, parse_constant=refuse_constant)


class StrictLoader(yaml.SafeLoader):
    """Plain YAML: no aliases, no key twice."""

    def compose_node(self, parent, index):
        assert not self.check_event(yaml.AliasEvent), "an alias"
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        pairs = [(self.construct_object(key, deep=True), None) for key, _ in node.value]
        no_repeats(pairs)
        return super().construct_mapping(node, deep)


def keys_are(value, *keys):
    assert type(value) is dict and set(value) == set(keys), f"keys are {sorted(map(str, value))}, not {sorted(keys)}"


def whole(value, least=0):
    assert type(value) is int and value >= least, f"{value!r} is no whole number of {least} or above"
    return value


def row(experts, slots):
    assert type(experts) is list and len(experts) == slots, f"a row of {len(experts)} for {slots} slots"
    for expert in experts:
        whole(expert)
    return experts


def per_gpu(rows, gpus, experts):
    """Rows of one model, cut into GPUs; all hold every expert and none beyond."""
    widths = {len(one) for one in rows.values()}
    assert len(widths) == 1, f"rows of {widths}"
    (slots,) = widths
    assert slots % gpus == 0 and slots >= experts
    width = slots // gpus
    for layer, one in rows.items():
        assert set(row(one, slots)) == set(range(experts)), f"layer {layer} lacks an expert or has one too many"
    return {layer: [one[gpu * width:(gpu + 1) * width] for gpu in range(gpus)] for layer, one in rows.items()}


def sglang(text, gpus, experts, hidden_layers):
    document = strict_json(text)
    keys_are(document, "physical_to_logical_map")
    rows = document["physical_to_logical_map"]
    assert type(rows) is list and len(rows) == hidden_layers, f"{len(rows)} rows for {hidden_layers} hidden layers"
    return per_gpu(dict(enumerate(rows)), gpus, experts)


def vllm(text, gpus, experts, moe_layers):
    assert text.count("\n") == 1, "more than one line"
    document = strict_json(text)
    keys_are(document, "record_type", "version", "num_redundant_experts", "num_slots", "initial_global_assignments")
    assert document["record_type"] == "eplb_initial_mapping" and whole(document["version"]) == 1
    assignments = document["initial_global_assignments"]
    assert list(assignments) == [str(layer) for layer in range(moe_layers)], "layers are not 0, 1, ..."
    slots = whole(document["num_slots"], 1)
    assert whole(document["num_redundant_experts"]) == slots - experts
    return per_gpu({int(layer): row(one, slots) for layer, one in assignments.items()}, gpus, experts)


def vllm_pr49572(text, gpus, experts, moe_layers):
    rows = strict_json(text)
    assert type(rows) is list and len(rows) == moe_layers
    return per_gpu(dict(enumerate(rows)), gpus, experts)


def trtllm(text, gpus, experts, layer_ids):
    document = yaml.load(text, StrictLoader)
    keys_are(document, "initial_global_assignments", "num_slots", "layer_updates_per_iter")
    assert whole(document["layer_updates_per_iter"]) == 0
    slots = whole(document["num_slots"], experts)
    assignments = document["initial_global_assignments"]
    assert type(assignments) is dict and [whole(layer) for layer in assignments] == layer_ids
    return per_gpu({layer: row(one, slots) for layer, one in assignments.items()}, gpus, experts)


def ascend(text, gpus, experts, moe_layers):
    document = strict_json(text)
    keys_are(document, "moe_layer_count", "layer_list")
    assert whole(document["moe_layer_count"]) == moe_layers == len(document["layer_list"])
    rows = {}
    widths = set()
    for number, layer in enumerate(document["layer_list"]):
        keys_are(layer, "layer_id", "device_count", "device_list")
        assert whole(layer["layer_id"]) == number
        assert whole(layer["device_count"]) == gpus == len(layer["device_list"])
        rows[number] = []
        for place, device in enumerate(layer["device_list"]):
            keys_are(device, "device_id", "device_expert")
            assert whole(device["device_id"]) == place
            held = device["device_expert"]
            assert len(held) == len(set(held)), f"layer {number} device {place} holds an expert twice"
            widths.add(len(held))
            rows[number] += held
    assert len(widths) == 1, f"devices hold {widths} experts"
    return per_gpu(rows, gpus, experts)
