#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "partition/model/instance.h"

namespace evenkeel::testing {

/// Whether every GPU has its number of items of every layer and no expert twice.
inline ::testing::AssertionResult is_valid(const Instance& instance, const Assignment& assignment) {
  if (assignment.rows() != instance.layers() || assignment.cols() != instance.items())
    return ::testing::AssertionFailure() << "shape " << assignment.rows() << " x " << assignment.cols();
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    std::vector<std::vector<bool>> holds(instance.gpus, std::vector<bool>(instance.experts, false));
    std::vector<std::size_t> count(instance.gpus, 0);
    for (std::size_t item = 0; item < instance.items(); ++item) {
      const std::size_t gpu = assignment(layer, item);
      const std::size_t expert = instance.expert_of_item(layer, item);
      if (gpu >= instance.gpus || holds[gpu][expert])
        return ::testing::AssertionFailure() << "layer " << layer << " expert " << expert << " on GPU " << gpu;
      holds[gpu][expert] = true;
      ++count[gpu];
    }
    for (std::size_t gpu = 0; gpu < instance.gpus; ++gpu) {
      if (count[gpu] != instance.slots_per_gpu())
        return ::testing::AssertionFailure() << "layer " << layer << ": GPU " << gpu << " has " << count[gpu];
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace evenkeel::testing
