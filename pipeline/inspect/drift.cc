#include "pipeline/inspect/drift.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "partition/foundation/parallel.h"
#include "partition/foundation/random.h"
#include "partition/model/load_distance.h"

namespace evenkeel {
namespace {

constexpr std::size_t kDeals = 8;

double total(std::span<const std::uint64_t> load) {
  return static_cast<double>(std::accumulate(load.begin(), load.end(), std::uint64_t{0}));
}

double cosine(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b) {
  const auto product = [](std::span<const std::uint64_t> x, std::span<const std::uint64_t> y) {
    return std::inner_product(x.begin(), x.end(), y.begin(), 0.0, std::plus<>(), [](std::uint64_t u, std::uint64_t v) {
      return static_cast<double>(u) * static_cast<double>(v);
    });
  };
  return product(a, b) / std::sqrt(product(a, a) * product(b, b));
}

std::vector<LoadDistance> distances(const TraceParts& parts) {
  std::vector<LoadDistance> all;
  for (std::size_t part = 0; part + 1 < parts.size(); ++part) all.push_back(load_distance(parts, part, part + 1));
  all.push_back(load_distance(parts, 0, parts.size() - 1));
  return all;
}

void add_expected_noise(const TraceParts& parts, LoadDistance& distance) {
  double sum = 0;
  double layers = 0;
  for (std::size_t layer = 0; layer < distance.variation_by_layer.size(); ++layer) {
    if (!distance.variation_by_layer[layer]) continue;
    sum += sampling_noise(parts.load_tokens[distance.from][layer], parts.load_tokens[distance.to][layer]);
    ++layers;
  }
  if (layers > 0) distance.noise_mean = sum / layers;
}

void add_dealt_noise(const Trace& trace, const TraceParts& parts, std::uint64_t seed, std::size_t threads,
                     std::vector<LoadDistance>& distances_of_parts) {
  std::vector<std::vector<LoadDistance>> dealt(kDeals);
  for_each_item(kDeals, threads, [&](std::size_t deal) {
    TraceParts mixed{parts.source, parts.names, parts.part_of_sequence, {}};
    Random(seed, deal).shuffle(std::span(mixed.part_of_sequence));
    mixed.load_tokens = loads_of_parts(trace, mixed.part_of_sequence, mixed.size());
    dealt[deal] = distances(mixed);
  });
  for (std::size_t i = 0; i < distances_of_parts.size(); ++i) {
    double sum = 0;
    double count = 0;
    for (const auto& deal : dealt) {
      if (!deal[i].variation_mean) continue;
      sum += *deal[i].variation_mean;
      ++count;
    }
    if (count > 0) distances_of_parts[i].noise_mean = sum / count;
  }
}

}  // namespace

LoadDistance load_distance(const TraceParts& parts, std::size_t from, std::size_t to) {
  LoadDistance distance{from, to, {}, {}, {}, 0, {}, {}};
  double variation_sum = 0;
  double cosine_sum = 0;
  double layers = 0;
  for (std::size_t layer = 0; layer < parts.load_tokens[from].rows(); ++layer) {
    const auto a = parts.load_tokens[from][layer];
    const auto b = parts.load_tokens[to][layer];
    if (total(a) == 0 || total(b) == 0) {
      distance.variation_by_layer.emplace_back();
      continue;
    }
    const double variation = load_variation(a, b);
    distance.variation_by_layer.emplace_back(variation);
    if (!distance.variation_worst || variation > *distance.variation_worst) {
      distance.variation_worst = variation;
      distance.worst_layer = layer;
    }
    variation_sum += variation;
    cosine_sum += cosine(a, b);
    ++layers;
  }
  if (layers > 0) {
    distance.variation_mean = variation_sum / layers;
    distance.cosine_mean = cosine_sum / layers;
  }
  return distance;
}

Drift drift_of(const Trace& trace, TraceParts parts, std::uint64_t seed, std::size_t threads) {
  std::vector<LoadDistance> all = distances(parts);
  if (parts.part_of_sequence.empty()) {
    for (LoadDistance& distance : all) add_expected_noise(parts, distance);
  } else {
    add_dealt_noise(trace, parts, seed, threads, all);
  }
  LoadDistance first_to_last = std::move(all.back());
  all.pop_back();
  return {std::move(parts), std::move(all), std::move(first_to_last)};
}

}  // namespace evenkeel
