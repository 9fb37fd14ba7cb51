#pragma once

#include <span>
#include <vector>

#include "partition/foundation/id.h"
#include "partition/model/model_spec.h"

namespace evenkeel {

/// Chooses a token's experts by score, as the model's router does: where it has groups, the groups whose two best
/// scores have the largest sums first (DeepSeek-V3, arXiv 2412.19437, and its `noaux_tc`), then the best experts in
/// those. Null experts are in no group. One a thread.
class ExpertChoice {
 public:
  explicit ExpertChoice(const ModelSpec& model);

  /// Writes the best experts [top_k], best first, ties by number; `scores` [experts + null_experts]. A null expert has
  /// its number.
  void choose(std::span<const float> scores, std::span<ExpertIndex> chosen);

 private:
  void take_best(std::span<const float> scores, std::size_t first, std::size_t last, std::span<ExpertIndex> chosen);
  void rank_groups(std::span<const float> scores);

  std::size_t experts_;
  std::size_t group_size_;
  std::size_t groups_chosen_;
  /// How many of the chosen ones are filled.
  std::size_t filled_ = 0;
  /// Scores of the chosen ones.
  std::vector<float> chosen_score_;
  std::vector<float> group_score_;
  /// Groups, best first.
  std::vector<std::size_t> group_order_;
};

}  // namespace evenkeel
