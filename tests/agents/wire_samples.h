#pragma once

#include <vector>

#include "agents/wire/message.h"
#include "partition/model/placement.h"

namespace evenkeel::wire {

/// Two layers of four experts on two GPUs; `first` is the expert in the first slot of layer 0.
inline Placement sample_placement(ExpertIndex first = 0) {
  Grid<ExpertIndex> map(2, 4);
  for (std::size_t layer = 0; layer < 2; ++layer) {
    for (std::size_t slot = 0; slot < 4; ++slot) {
      map(layer, slot) = static_cast<ExpertIndex>((slot + (layer == 0 ? first : 0)) % 4);
    }
  }
  return *Placement::create({.layer_ids = {1, 2},
                             .experts = 4,
                             .nodes = 1,
                             .slots_of_gpu = {2, 2},
                             .expert_of_slot = map,
                             .shares = std::nullopt});
}

/// One message of each type.
inline std::vector<Message> sample_messages() {
  Grid<std::uint64_t> counts(2, 4, 7);
  counts(1, 3) = 1'000'000'000'000;
  Grid<ExpertIndex> paths(2, 4, 3);
  paths(1, 3) = kNoExpert;
  const std::vector<int> layer_ids{1, 2};
  return {Hello{1, model_hash(layer_ids, 4), 0, 2, layer_ids, 4, 3, std::nullopt},
          Snapshot{{3, 0}, sample_placement()},
          Report{1,
                 9,
                 0,
                 2,
                 2000,
                 {{Stage::kPrefill, 14, counts}, {Stage::kDecode, 7, Grid<std::uint64_t>(2, 4, 5)}},
                 false,
                 {{0, 3, 0, 0, 0, 1, 0}}},
          ReportAck{{3, 0}, 1, 9, 2},
          Paths{1, 4, Stage::kDecode, 2, 2, 8, paths},
          Prepare{{3, 1}, 0, 30'000, sample_placement(1), {{0, 1, 0, 1}, {1, 3, 1, 0}}, 2},
          Ready{{3, 1}, 1},
          Commit{{3, 1}, digest(sample_placement(1))},
          Applied{{3, 1}, 1, digest(sample_placement(1)), 2000},
          Retire{{3, 1}},
          Abort{{3, 1}, "the deadline has passed"},
          Refusal{RefusalReason::kShrinkingCounts, "report", std::nullopt, {3, 1}, "report 9 counts less"}};
}

}  // namespace evenkeel::wire
