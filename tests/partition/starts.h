#pragma once

#include "partition/model/instance.h"

namespace evenkeel::testing {

/// Item i on GPU i modulo GPUs: copies of an expert are neighbours, so that they lie apart.
inline Assignment dealt_out(const Instance& instance) {
  Assignment assignment(instance.layers(), instance.items());
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    for (std::size_t item = 0; item < instance.items(); ++item)
      assignment(layer, item) = static_cast<GpuIndex>(item % instance.gpus);
  }
  return assignment;
}

}  // namespace evenkeel::testing
