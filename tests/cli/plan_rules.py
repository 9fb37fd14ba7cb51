"""What a migration plan must obey, checked from its JSON and its epochs' placements alone; shares nothing with the planner."""

from collections import Counter

INTRA_BYTES_PER_SECOND, INTRA_LATENCY = 450e9, 3e-6
INTER_BYTES_PER_SECOND, INTER_LATENCY = 50e9, 10e-6
EXPERT_BYTES = 44e6


class Cluster:
    """Who holds what: placements as dictionaries from (layer row, GPU) to the list of experts in slot order."""

    def __init__(self, gpus, nodes, slots_of_gpu):
        self.gpus, self.nodes, self.slots_of_gpu = gpus, nodes, slots_of_gpu

    def node(self, gpu):
        return gpu // (self.gpus // self.nodes)

    def hosted(self, placement):
        result = {}
        for layer, row in enumerate(placement["physical_to_logical_map"]):
            first = 0
            for gpu, slots in enumerate(self.slots_of_gpu):
                result[layer, gpu] = row[first:first + slots]
                first += slots
            assert first == len(row), f"layer {layer} has {len(row)} slots, not {first}"
        return result


def changed_slots(before, after):
    """How many experts of a GPU give way, by GPU and layer."""
    return {key: sum((Counter(before[key]) - Counter(after[key])).values()) for key in before}


def buffers_needed(changes, gpus):
    return [sum(count for (_, at), count in changes.items() if at == gpu) for gpu in range(gpus)]


def check_placement(cluster, before, after, ends, experts, spare):
    """A valid placement, one step of at most `spare` slots a GPU from the one before, slots that stay where they were."""
    layers = 1 + max(layer for layer, _ in after)
    for layer in range(layers):
        there = {expert for gpu in range(cluster.gpus) for expert in after[layer, gpu]}
        assert there == set(range(experts)), f"layer {layer} lacks {set(range(experts)) - there}"
    for key, held in after.items():
        for expert, count in Counter(held).items():
            allowed = max(1, *(end[key].count(expert) for end in ends))
            assert count <= allowed, f"{key} holds expert {expert} {count} times"
    changes = changed_slots(before, after)
    for key, count in changes.items():
        moved = sum(old != new for old, new in zip(before[key], after[key]))
        assert moved == count, f"{key}: {moved} slots change for {count} experts"
    needed = buffers_needed(changes, cluster.gpus)
    assert max(needed) <= spare, f"a GPU gets {max(needed)} experts into {spare} buffers"
    assert max(needed) > 0, "an epoch changes nothing"


def check_copies(cluster, before, after, copies, layer_ids):
    """Every expert that is new on a GPU is copied there once, in documented order, from the source that the rule names."""
    wanted = sorted((layer, gpu, expert) for (layer, gpu), held in after.items() for expert in set(held) - set(before[layer, gpu]))
    made = [(layer_ids.index(copy["layer"]), copy["to"], copy["expert"]) for copy in copies]
    assert made == wanted, f"copies are {made}, needed are {wanted}"
    sent = Counter()
    for copy, (layer, to, expert) in zip(copies, made):
        holders = [gpu for gpu in range(cluster.gpus) if expert in before[layer, gpu]]
        best = min(holders, key=lambda gpu: (cluster.node(gpu) != cluster.node(to), sent[gpu], gpu))
        assert copy["from"] == best, f"{copy} should come from {best}, holders are {holders}"
        sent[best] += 1


def check_rounds(cluster, epoch):
    """One expert out and one in for a GPU a round, no round too many, and the figures that follow."""
    sends, receives = Counter(), Counter()
    slowest = [0.0] * epoch["rounds"]
    bytes_of = {"bytes_intra": 0.0, "bytes_inter": 0.0}
    for copy in epoch["copies"]:
        sends[copy["from"], copy["round"]] += 1
        receives[copy["to"], copy["round"]] += 1
        inside = cluster.node(copy["from"]) == cluster.node(copy["to"])
        bytes_of["bytes_intra" if inside else "bytes_inter"] += EXPERT_BYTES
        seconds = EXPERT_BYTES / INTRA_BYTES_PER_SECOND + INTRA_LATENCY if inside else EXPERT_BYTES / INTER_BYTES_PER_SECOND + INTER_LATENCY
        assert 0 <= copy["round"] < epoch["rounds"], f"{copy} is outside of {epoch['rounds']} rounds"
        slowest[copy["round"]] = max(slowest[copy["round"]], seconds)
    assert max([*sends.values(), *receives.values()], default=0) <= 1, "a GPU sends or receives two experts in a round"
    busiest = max([*Counter(gpu for gpu, _ in sends.elements()).values(), *Counter(gpu for gpu, _ in receives.elements()).values()],
                  default=0)
    assert epoch["rounds"] == busiest, f"{epoch['rounds']} rounds, the busiest GPU needs {busiest}"
    for key, value in bytes_of.items():
        assert epoch[key] == value, f"{key} is {epoch[key]}, copies have {value}"
    assert abs(epoch["seconds"] - sum(slowest)) < 1e-9, f"{epoch['seconds']} s, rounds take {sum(slowest)} s"


def check_totals(plan, start, end, placement_slots):
    epochs = plan["epochs"]
    assert plan["moves"] == sum(len(epoch["copies"]) for epoch in epochs)
    assert plan["rounds"] == sum(epoch["rounds"] for epoch in epochs)
    assert abs(plan["seconds"] - sum(epoch["seconds"] for epoch in epochs)) < 1e-9
    for key in ("bytes_intra", "bytes_inter"):
        assert plan[key] == sum(epoch[key] for epoch in epochs)
    assert plan["moved_bytes"] == plan["bytes_intra"] + plan["bytes_inter"] == plan["moves"] * EXPERT_BYTES
    new = sum(expert not in start[key] for key, held in end.items() for expert in held)
    assert abs(plan["churn"] - new / placement_slots) < 1e-12


def check_length(cluster, start, end, epochs, spare):
    """Between the number no chain can beat and the one that is promised."""
    changes = changed_slots(start, end)
    least = max(-(-needed // spare) for needed in buffers_needed(changes, cluster.gpus))
    layers = 1 + max(layer for layer, _ in changes)
    classes = sum(max(changes[layer, gpu] for gpu in range(cluster.gpus)) for layer in range(layers))
    assert least <= epochs <= -(-classes // spare), f"{epochs} epochs, at least {least}, at most {-(-classes // spare)}"
    return least


def check_plan(plan, chain, start, end, spare):
    """Raises AssertionError for the first rule broken. `chain` are the epochs' placements, `start` and `end` those planned between.
    Returns the least number of epochs that any chain needs."""
    slots = start["slots"] or [len(start["physical_to_logical_map"][0]) // start["gpus"]] * start["gpus"]
    cluster = Cluster(start["gpus"], start["nodes"], slots)
    first, last = cluster.hosted(start), cluster.hosted(end)
    assert len(chain) == len(plan["epochs"]), f"{len(chain)} placements of {len(plan['epochs'])} epochs"
    before = first
    for number, (placement, epoch) in enumerate(zip(chain, plan["epochs"]), 1):
        after = cluster.hosted(placement)
        try:
            check_placement(cluster, before, after, (first, last), start["experts"], spare)
            check_copies(cluster, before, after, epoch["copies"], start["layer_ids"])
            check_rounds(cluster, epoch)
        except AssertionError as broken:
            raise AssertionError(f"epoch {number}: {broken}") from None
        before = after
    for key in last:
        assert sorted(before[key]) == sorted(last[key]), f"{key} ends with {before[key]} instead of {last[key]}"
    check_totals(plan, first, last, sum(map(len, end["physical_to_logical_map"])))
    return check_length(cluster, first, last, len(plan["epochs"]), spare)
