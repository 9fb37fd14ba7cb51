#pragma once

#include <cstddef>
#include <vector>

#include "partition/migrate/layer_changes.h"

namespace evenkeel {

/// The slot changes that take effect together.
using EpochChanges = std::vector<SlotChange>;

/// Packs the groups of many layers into few epochs with at most `spare` changes a GPU each: first fit, once with the
/// fullest classes first and once with the longest cycles first; the shorter chain counts.
///
/// Never more than ceil(classes / spare) epochs: in the first order a class finds room in epoch i / spare at the
/// latest, i its number, because only the spare - 1 classes before it can have reached that far.
///
/// Pure. `spare` is 1 or more. Changes of an epoch are in order of layer, GPU and added expert. Cost: changes x epochs
/// at worst.
[[nodiscard]] std::vector<EpochChanges> pack_epochs(const std::vector<ChangeClass>& classes, std::size_t gpus,
                                                    std::size_t spare);

}  // namespace evenkeel
