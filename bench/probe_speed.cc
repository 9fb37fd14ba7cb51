// Times the probe's counting of 8,192 tokens x 58 layers x 8 ids of 32 bits beside a bare store loop over the same ids,
// in alternating rounds: probe_speed [ROUNDS]. Prints nanoseconds an id, and the ratios that are promised.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "agents/probe/probe.h"

namespace {

constexpr std::size_t kTokens = 8'192;
constexpr std::size_t kLayers = 58;
constexpr std::size_t kTopK = 8;
constexpr std::size_t kExperts = 256;
constexpr std::size_t kIds = kTokens * kLayers * kTopK;

using Clock = std::chrono::steady_clock;
using Probe = std::unique_ptr<ek_probe, decltype(&ek_probe_close)>;

/// Ids as skewed as a router's: expert e is drawn in proportion to 1 / (e + 1)^0.45, the experts shuffled by layer.
std::vector<std::int32_t> skewed_ids() {
  std::mt19937_64 random(1);
  std::vector<double> weights(kExperts);
  for (std::size_t e = 0; e < kExperts; ++e) weights[e] = std::pow(static_cast<double>(e + 1), -0.45);
  std::discrete_distribution<std::int32_t> draw(weights.begin(), weights.end());
  std::vector<std::int32_t> ids(kIds);
  for (std::int32_t& id : ids) id = draw(random);
  for (std::size_t layer = 0; layer < kLayers; ++layer) {
    for (std::size_t i = 0; i < kTokens * kTopK; ++i) {
      std::int32_t& id = ids[layer * kTokens * kTopK + i];
      id = static_cast<std::int32_t>((static_cast<std::size_t>(id) * 37 + layer * 11) % kExperts);
    }
  }
  return ids;
}

/// One store an id, nothing else: no sum, no check.
void store_bare(const std::vector<std::int32_t>& ids, std::vector<std::uint32_t>& table) {
  for (std::size_t layer = 0; layer < kLayers; ++layer) {
    const std::int32_t* const id = ids.data() + layer * kTokens * kTopK;
    std::uint32_t* const cells = table.data() + layer * kExperts;
    for (std::size_t i = 0; i < kTokens * kTopK; ++i) cells[id[i]] = static_cast<std::uint32_t>(i);
  }
}

Probe open_probe(std::uint32_t paths_one_in) {
  const std::string name = fmt::format("probe-speed-{}-{}", getpid(), paths_one_in);
  ek_probe_options options{};
  options.size = sizeof options;
  options.paths_one_in = paths_one_in;
  return {ek_probe_open(name.c_str(), kLayers, kExperts, kTopK, &options), &ek_probe_close};
}

void count(const Probe& probe, const std::vector<std::int32_t>& ids) {
  for (std::size_t layer = 0; layer < kLayers; ++layer) {
    ek_probe_record_ids_i32(probe.get(), static_cast<std::uint32_t>(layer), ids.data() + layer * kTokens * kTopK,
                            kTokens);
  }
  ek_probe_end_step(probe.get(), EK_STAGE_PREFILL);
}

template <class Work>
double nanoseconds_an_id(Work work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / static_cast<double>(kIds);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void print(std::string_view what, const std::vector<double>& values) {
  const auto [least, most] = std::ranges::minmax(values);
  fmt::print("{:<24}{:7.3f} {:7.3f} {:7.3f}\n", what, median(values), least, most);
}

int run(std::size_t rounds) {
  const std::vector<std::int32_t> ids = skewed_ids();
  std::vector<std::uint32_t> table(kLayers * kExperts);
  const Probe plain = open_probe(0);
  const Probe sampling = open_probe(8);
  if (!plain || !sampling) {
    fmt::print(stderr, "probe_speed: {}\n", ek_probe_error());
    return 1;
  }
  std::vector<double> bare_ns, plain_ns, sampling_ns, ratios, sampling_ratios;
  for (std::size_t round = 0; round <= rounds; ++round) {
    const double bare = nanoseconds_an_id([&] { store_bare(ids, table); });
    const double counted = nanoseconds_an_id([&] { count(plain, ids); });
    const double sampled = nanoseconds_an_id([&] { count(sampling, ids); });
    // The first round touches the memory.
    if (round == 0) continue;
    bare_ns.push_back(bare);
    plain_ns.push_back(counted);
    sampling_ns.push_back(sampled);
    ratios.push_back(counted / bare);
    sampling_ratios.push_back(sampled / counted);
  }
  fmt::print("ns an id                 median   least    most\n");
  print("bare store loop", bare_ns);
  print("probe", plain_ns);
  print("probe, paths 1 in 8", sampling_ns);
  print("probe / bare", ratios);
  print("with paths / without", sampling_ratios);
  // What a round takes without other work of the machine in between.
  const auto least = [](const std::vector<double>& values) { return *std::ranges::min_element(values); };
  fmt::print("of the least times: probe / bare {:.3f}, with paths / without {:.3f}\n", least(plain_ns) / least(bare_ns),
             least(sampling_ns) / least(plain_ns));
  fmt::print("{} tokens x {} layers x {} ids, {} rounds\n", kTokens, kLayers, kTopK, rounds);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t rounds = 51;
  bool is_usage_right = argc <= 2;
  if (argc == 2) {
    const std::string_view text(argv[1]);
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), rounds);
    is_usage_right = error == std::errc() && rest == text.data() + text.size() && rounds > 0;
  }
  if (!is_usage_right) {
    std::fputs("usage: probe_speed [ROUNDS]\n", stderr);
    return 2;
  }
  return run(rounds);
}
