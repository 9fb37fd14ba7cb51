"""EPLB, DeepSeek's expert-parallel load balancer, in NumPy: global and hierarchical, all layers at once.

Written from the algorithm, as partition/baseline/eplb.cc is. Equal loads go to the lower number, as there. A step of
either greedy loop takes all layers (and nodes) together, so that Python's cost a step is shared by all of them.
"""

import numpy as np


def balanced_packing(weight, packs):
    """Packs the items of each row into packs of equal count, heaviest first to the lightest pack with room.

    Returns the items in pack order: pack p holds columns p * n / packs and on.
    """
    rows, items = weight.shape
    room = items // packs
    if room == 1:
        return np.broadcast_to(np.arange(items), weight.shape)
    order = np.argsort(-weight, axis=1, kind="stable")
    # Item-major, so that a step reads its weights from one place.
    sorted_weight = np.ascontiguousarray(np.take_along_axis(weight, order, axis=1).T)
    order = np.ascontiguousarray(order.T)
    item_at = np.empty(rows * items, dtype=np.int64)
    # The item that takes the last place of a pack makes the pack too heavy for any other.
    closing = np.where(np.arange(rows * items) % room == room - 1, np.inf, 0).astype(weight.dtype)
    pack_weight = np.zeros((rows, packs), dtype=weight.dtype)
    flat_weight = pack_weight.reshape(-1)
    next_place = np.arange(0, rows * items, room)
    first_pack = np.arange(0, rows * packs, packs)
    for item, item_weight in zip(order, sorted_weight):
        lightest = first_pack + pack_weight.argmin(axis=1)
        place = next_place[lightest]
        item_at[place] = item
        next_place[lightest] = place + 1
        flat_weight[lightest] += item_weight + closing[place]
    return item_at.reshape(rows, items)


def replicate_experts(weight, slots):
    """Gives each further slot to the expert with the most load a copy, in each row.

    Returns the expert of each copy (the first n are the experts themselves) and the copies of each expert.
    """
    rows, experts = weight.shape
    expert_of_copy = np.empty((rows, slots), dtype=np.int64)
    expert_of_copy[:, :experts] = np.arange(experts)
    copies = np.ones(rows * experts, dtype=weight.dtype)
    load_of_copy = weight.copy()
    flat_weight, flat_load = weight.reshape(-1), load_of_copy.reshape(-1)
    first_expert = np.arange(0, rows * experts, experts)
    for copy in range(experts, slots):
        hottest = load_of_copy.argmax(axis=1)
        expert_of_copy[:, copy] = hottest
        hottest += first_expert
        copies[hottest] += 1
        flat_load[hottest] = flat_weight[hottest] / copies[hottest]
    return expert_of_copy, copies.reshape(rows, experts)


def pack_groups(weight, groups, nodes):
    """Experts in the order of the nodes that their groups are packed to."""
    layers, experts = weight.shape
    size = experts // groups
    # Sums in order, as a loop would: the order matters above 2^24, where single precision rounds.
    group_weight = np.add.accumulate(weight.reshape(layers, groups, size), axis=2)[:, :, -1]
    group_at = balanced_packing(group_weight, nodes)
    return (group_at[:, :, None] * size + np.arange(size)).reshape(layers, experts)


def rebalance_experts(counts, slots, groups, nodes, gpus):
    """The expert of each slot, int64 [layers, slots], slot p on GPU p // (slots / gpus).

    `counts` is [layers, experts]. Hierarchical (groups to nodes, then copies and GPUs inside each node) where the groups
    divide over the nodes, else global. Loads are single precision, as in the original.
    """
    weight = np.asarray(counts, dtype=np.float32)
    layers, experts = weight.shape
    if groups % nodes:
        groups = nodes = 1
    order = pack_groups(weight, groups, nodes).reshape(layers * nodes, experts // nodes)
    node_weight = np.take_along_axis(np.repeat(weight, nodes, axis=0), order, axis=1)
    expert_of_copy, copies = replicate_experts(node_weight, slots // nodes)
    copy_weight = np.take_along_axis(node_weight / copies, expert_of_copy, axis=1)
    copy_at = balanced_packing(copy_weight, gpus // nodes)
    expert_at = np.take_along_axis(expert_of_copy, copy_at, axis=1)
    return np.take_along_axis(order, expert_at, axis=1).reshape(layers, slots)
