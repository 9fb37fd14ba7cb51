#include "pipeline/synth/expert_choice.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace evenkeel {

ExpertChoice::ExpertChoice(const ModelSpec& model)
    : experts_(model.experts),
      group_size_(model.experts / model.routing_groups),
      groups_chosen_(model.groups_chosen),
      chosen_score_(model.top_k),
      group_score_(model.routing_groups),
      group_order_(model.routing_groups) {}

void ExpertChoice::choose(std::span<const float> scores, std::span<ExpertIndex> chosen) {
  filled_ = 0;
  if (groups_chosen_ == group_order_.size()) return take_best(scores, 0, scores.size(), chosen);
  rank_groups(scores);
  for (std::size_t i = 0; i < groups_chosen_; ++i) {
    take_best(scores, group_order_[i] * group_size_, (group_order_[i] + 1) * group_size_, chosen);
  }
  take_best(scores, experts_, scores.size(), chosen);
}

void ExpertChoice::take_best(std::span<const float> scores, std::size_t first, std::size_t last,
                             std::span<ExpertIndex> chosen) {
  float* const best = chosen_score_.data();
  float least = filled_ == chosen.size() ? best[filled_ - 1] : -std::numeric_limits<float>::infinity();
  for (std::size_t expert = first; expert < last; ++expert) {
    const float score = scores[expert];
    if (score <= least) continue;
    std::size_t at = filled_ < chosen.size() ? filled_++ : filled_ - 1;
    for (; at > 0 && score > best[at - 1]; --at) {
      best[at] = best[at - 1];
      chosen[at] = chosen[at - 1];
    }
    best[at] = score;
    chosen[at] = static_cast<ExpertIndex>(expert);
    if (filled_ == chosen.size()) least = best[filled_ - 1];
  }
}

void ExpertChoice::rank_groups(std::span<const float> scores) {
  for (std::size_t group = 0; group < group_score_.size(); ++group) {
    float best = -std::numeric_limits<float>::infinity();
    float second = best;
    for (const float score : scores.subspan(group * group_size_, group_size_)) {
      const float lower = std::min(best, score);
      best = std::max(best, score);
      second = std::max(second, lower);
    }
    group_score_[group] = group_size_ > 1 ? best + second : best;
  }
  std::iota(group_order_.begin(), group_order_.end(), std::size_t{0});
  std::ranges::sort(group_order_, [&](std::size_t a, std::size_t b) {
    return group_score_[a] != group_score_[b] ? group_score_[a] > group_score_[b] : a < b;
  });
}

}  // namespace evenkeel
