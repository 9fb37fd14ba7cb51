#pragma once

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "partition/model/instance.h"

namespace evenkeel::testing {

/// The least communication of a small instance with one item a GPU, over all permutations of all layers.
inline double least_communication(const Instance& clusters) {
  Assignment map(clusters.layers(), clusters.gpus);
  for (std::size_t layer = 0; layer < clusters.layers(); ++layer)
    std::iota(map[layer].begin(), map[layer].end(), GpuIndex{0});
  double best = std::numeric_limits<double>::infinity();
  while (true) {
    best = std::min(best, communication(clusters, map));
    std::size_t layer = 0;
    while (layer < clusters.layers() && !std::next_permutation(map[layer].begin(), map[layer].end())) ++layer;
    if (layer == clusters.layers()) return best;
  }
}

}  // namespace evenkeel::testing
