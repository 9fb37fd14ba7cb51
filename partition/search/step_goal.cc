#include "partition/search/step_goal.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "partition/foundation/random.h"

namespace evenkeel {
namespace {

constexpr std::size_t kDraws = 5;
constexpr std::size_t kParts = 3;
constexpr std::size_t kSamples = kDraws * kParts;
/// So many sequences are enough to draw from.
constexpr std::size_t kSequencesMin = 48;

/// First token of each stretch that samples are drawn from, then the number of tokens.
std::vector<std::uint64_t> stretches_of(const TokenPaths& paths) {
  if (paths.sequences() >= kSequencesMin) return paths.sequence_start;
  std::vector<std::uint64_t> start;
  const std::uint64_t tokens = paths.tokens();
  for (std::uint64_t i = 0; i <= kSequencesMin; ++i) start.push_back(tokens * i / kSequencesMin);
  return start;
}

/// Choices of each expert in each sample [layers] of [experts, samples], and the tokens of each sample.
struct SampleCounts {
  std::vector<Grid<std::uint32_t>> choices;
  std::vector<std::uint64_t> tokens = std::vector<std::uint64_t>(kSamples, 0);
};

SampleCounts count_samples(const RoutingProfile& profile, std::uint64_t seed) {
  const TokenPaths& paths = profile.paths;
  const auto start = stretches_of(paths);
  SampleCounts counts;
  counts.choices.assign(profile.shape.layers(), Grid<std::uint32_t>(profile.shape.experts, kSamples));
  // Each draw deals the stretches out to its parts.
  std::vector<std::size_t> order(start.size() - 1);
  Grid<std::uint8_t> sample_of(order.size(), kDraws);
  for (std::size_t draw = 0; draw < kDraws; ++draw) {
    std::iota(order.begin(), order.end(), std::size_t{0});
    Random random(seed, draw);
    random.shuffle(std::span(order));
    for (std::size_t i = 0; i < order.size(); ++i)
      sample_of(order[i], draw) = static_cast<std::uint8_t>(draw * kParts + i % kParts);
  }
  for (std::size_t stretch = 0; stretch + 1 < start.size(); ++stretch) {
    const auto samples = sample_of[stretch];
    for (const std::uint8_t sample : samples) counts.tokens[sample] += start[stretch + 1] - start[stretch];
    for (std::uint64_t token = start[stretch]; token < start[stretch + 1]; ++token) {
      for (std::size_t round = 0; round < paths.rounds(); ++round) {
        Grid<std::uint32_t>& layer = counts.choices[paths.layer_of_round[round]];
        for (const ExpertIndex expert : paths.chosen(token, round)) {
          if (expert == kNoExpert) continue;
          for (const std::uint8_t sample : samples) ++layer(expert, sample);
        }
      }
    }
  }
  return counts;
}

/// Of parts that are alike and all homes of tokens, with `lanes` links each.
TransferPrices::Tier tier(std::size_t parts, std::size_t lanes, double seconds_per_token_byte,
                          const StepTimeModel& model) {
  if (parts == 1) return {};
  const double more = std::max(model.dispatch_bytes, model.combine_bytes);
  const double less = std::min(model.dispatch_bytes, model.combine_bytes);
  const double share = seconds_per_token_byte / static_cast<double>(parts * lanes);
  return {less * share, (more * static_cast<double>(parts - 1) - less) * share};
}

}  // namespace

StepGoal make_step_goal(const RoutingProfile& profile, const Instance& instance, const Cluster& cluster,
                        const StepTimeModel& model, std::uint64_t seed) {
  StepGoal goal;
  goal.overlap_ratio = model.overlap_ratio;
  const SampleCounts counts = count_samples(profile, seed);
  const Grid<std::uint64_t> load = profile.total_load();
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    const auto experts = instance.expert_of_item[layer];
    std::vector<double> copies(instance.experts, 0);
    for (const ExpertIndex expert : experts) ++copies[expert];
    const auto rounds = static_cast<double>(rounds_of(profile, layer));
    const std::vector<double> chance = expert_chances(profile, model, load, layer);
    std::vector<double> choices(instance.experts, 0);
    for (std::size_t expert = 0; expert < instance.experts; ++expert) {
      const auto row = counts.choices[layer][expert];
      choices[expert] = std::accumulate(row.begin(), row.end(), 0.0) / kDraws;
    }
    const auto tokens = static_cast<double>(profile.paths.tokens());
    Grid<float>& seconds = goal.item_seconds.emplace_back(instance.items(), kSamples);
    for (std::size_t item = 0; item < experts.size(); ++item) {
      const ExpertIndex expert = experts[item];
      for (std::size_t sample = 0; sample < kSamples; ++sample) {
        // Paths may be of a part of the tokens that loads are of.
        const double seen = choices[expert] == 0 ? 1.0
                                                 : counts.choices[layer](expert, sample) * tokens /
                                                       (choices[expert] * static_cast<double>(counts.tokens[sample]));
        const double reaching = std::min(1.0, chance[expert] * seen) / copies[expert];
        const std::chrono::duration<double> time = copy_time(model, reaching) / cluster.speed(GpuId(0));
        seconds(item, sample) = static_cast<float>(time.count() * rounds);
      }
    }
    const TokenSets& sets = instance.token_sets[layer];
    const double per_token = sets.total_tokens == 0 ? 0.0
                                                    : static_cast<double>(model.batch_tokens * sets.rounds) /
                                                          static_cast<double>(sets.total_tokens);
    const auto per_byte = [&](const Link& link) { return per_token / (link.bandwidth_gb_per_s * 1e9); };
    TransferPrices& prices = goal.transfer.emplace_back();
    prices.gpus = tier(cluster.gpus_per_node(), 1, per_byte(cluster.intra_node), model);
    if (cluster.nodes > 1) {
      prices.gpus.shared /= static_cast<double>(cluster.nodes);
      prices.nodes = tier(cluster.nodes, cluster.gpus_per_node(), per_byte(cluster.inter_node), model);
    }
  }
  return goal;
}

}  // namespace evenkeel
