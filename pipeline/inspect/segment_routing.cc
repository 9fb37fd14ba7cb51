#include "pipeline/inspect/segment_routing.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <numeric>

#include "partition/foundation/parallel.h"

namespace evenkeel {
namespace {

/// Counts, for every expert of a round, in how many segments it is used f times [experts, m + 1].
class UseHistogram {
 public:
  UseHistogram(std::size_t experts, std::size_t segment_tokens)
      : segment_tokens_(segment_tokens), segments_(experts, segment_tokens + 1), uses_(experts), since_(experts) {}

  void add_sequence(const TokenPaths& paths, std::size_t round, std::size_t begin, std::size_t end) {
    if (end - begin < segment_tokens_) return;
    std::ranges::fill(uses_, 0);
    std::ranges::fill(since_, 0);
    for (std::size_t token = begin; token < end; ++token) {
      const std::size_t seen = token - begin + 1;
      const std::size_t segment = seen > segment_tokens_ ? seen - segment_tokens_ : 0;
      if (segment > 0) change(paths.chosen(token - segment_tokens_, round), segment, -1);
      change(paths.chosen(token, round), segment, +1);
    }
    const std::size_t segments = end - begin - segment_tokens_ + 1;
    for (std::size_t expert = 0; expert < uses_.size(); ++expert) settle(expert, segments);
  }

  [[nodiscard]] const Grid<double>& segments() const { return segments_; }

 private:
  /// From `segment` on, the chosen experts are used once more or less. Work is done only where a count changes: between
  /// changes all segments have the same count.
  void change(std::span<const ExpertIndex> chosen, std::size_t segment, int by) {
    for (const ExpertIndex expert : chosen) {
      if (expert == kNoExpert) continue;
      settle(expert, segment);
      uses_[expert] += by;
    }
  }
  void settle(std::size_t expert, std::size_t segment) {
    segments_(expert, static_cast<std::size_t>(uses_[expert])) += static_cast<double>(segment - since_[expert]);
    since_[expert] = segment;
  }

  std::size_t segment_tokens_;
  Grid<double> segments_;
  std::vector<int> uses_;
  std::vector<std::size_t> since_;
};

/// What independent tokens would give: an expert used by a share q of the tokens is used Binomial(m, q) times.
void add_chance(double segments, double share, std::span<double> histogram) {
  const boost::math::binomial uses(static_cast<double>(histogram.size() - 1), share);
  for (std::size_t i = 0; i < histogram.size(); ++i) {
    histogram[i] += segments * boost::math::pdf(uses, static_cast<double>(i));
  }
}

struct RoundHistograms {
  std::vector<double> all;
  std::vector<double> chance;
};

/// Fills in the figures of one round; the histograms are for those of the model.
RoundHistograms measure_round(const RoutingProfile& profile, std::size_t round, SegmentRouting& routing) {
  const TokenPaths& paths = profile.paths;
  UseHistogram uses(profile.shape.experts, routing.segment_tokens);
  for (std::size_t sequence = 0; sequence < paths.sequences(); ++sequence) {
    uses.add_sequence(paths, round, paths.sequence_start[sequence], paths.sequence_start[sequence + 1]);
  }
  const std::size_t bins = routing.segment_tokens + 1;
  RoundHistograms histograms{std::vector<double>(bins), std::vector<double>(bins)};
  const double segments = static_cast<double>(routing.segments);
  for (std::size_t expert = 0; expert < profile.shape.experts; ++expert) {
    const auto row = uses.segments()[expert];
    std::ranges::transform(histograms.all, row, histograms.all.begin(), std::plus<>());
    routing.experts(round, expert) = best_segment_router(row);
    double used = 0;
    for (std::size_t i = 0; i < bins; ++i) used += static_cast<double>(i) * row[i];
    add_chance(segments, used / (segments * static_cast<double>(routing.segment_tokens)), histograms.chance);
  }
  routing.rounds[round] = best_segment_router(histograms.all);
  return histograms;
}

std::uint64_t count_segments(const TokenPaths& paths, std::size_t segment_tokens) {
  std::uint64_t segments = 0;
  for (std::size_t sequence = 0; sequence < paths.sequences(); ++sequence) {
    const std::uint64_t tokens = paths.sequence_start[sequence + 1] - paths.sequence_start[sequence];
    if (tokens >= segment_tokens) segments += tokens - segment_tokens + 1;
  }
  return segments;
}

}  // namespace

SegmentRouter best_segment_router(std::span<const double> count_of_uses) {
  const double m = static_cast<double>(count_of_uses.size() - 1);
  double used = 0;
  for (std::size_t i = 0; i < count_of_uses.size(); ++i) used += static_cast<double>(i) * count_of_uses[i];
  SegmentRouter best;
  if (used == 0) return best;
  double segments_on = 0;
  double used_on = 0;
  for (std::size_t threshold = count_of_uses.size(); threshold-- > 0;) {
    if (count_of_uses[threshold] == 0) continue;
    segments_on += count_of_uses[threshold];
    used_on += static_cast<double>(threshold) * count_of_uses[threshold];
    const double f1 = 2 * used_on / (m * segments_on + used);
    if (f1 >= best.srp) best = {f1, threshold, m * segments_on / used};
  }
  return best;
}

std::vector<SegmentRouting> segment_routing(const RoutingProfile& profile,
                                            const std::vector<std::size_t>& segment_tokens, std::size_t threads) {
  const std::size_t rounds = profile.paths.rounds();
  std::vector<SegmentRouting> all;
  for (const std::size_t tokens : segment_tokens) {
    all.push_back({tokens,
                   count_segments(profile.paths, tokens),
                   {},
                   0,
                   std::vector<SegmentRouter>(rounds),
                   Grid<SegmentRouter>(rounds, profile.shape.experts)});
  }
  std::vector<RoundHistograms> histograms(all.size() * rounds);
  for_each_item(histograms.size(), threads, [&](std::size_t item) {
    SegmentRouting& routing = all[item / rounds];
    if (routing.segments > 0) histograms[item] = measure_round(profile, item % rounds, routing);
  });
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].segments == 0) continue;
    RoundHistograms model{std::vector<double>(all[i].segment_tokens + 1),
                          std::vector<double>(all[i].segment_tokens + 1)};
    for (std::size_t round = 0; round < rounds; ++round) {
      const RoundHistograms& of_round = histograms[i * rounds + round];
      std::ranges::transform(model.all, of_round.all, model.all.begin(), std::plus<>());
      std::ranges::transform(model.chance, of_round.chance, model.chance.begin(), std::plus<>());
    }
    all[i].model = best_segment_router(model.all);
    all[i].model_chance = best_segment_router(model.chance).srp;
  }
  return all;
}

}  // namespace evenkeel
