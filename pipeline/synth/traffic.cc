#include "pipeline/synth/traffic.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>

#include "pipeline/synth/random_fields.h"

namespace evenkeel {
namespace {

constexpr std::uint64_t kTokensMax = std::uint64_t{1} << 32;
constexpr std::size_t kWindowsMax = 65536;

constexpr double kMedianLength = 512;
/// Of the logarithm: a doubling is 1.4 deviations, so 83 % of the lengths are from 256 to 1,024.
constexpr double kLengthDeviation = 0.5;
/// Share of the next domain over the one before: the first has 41 % of the traffic, the last 1 %.
constexpr double kNextDomainShare = 0.6;

double standard_normal(Random& random) {
  const double radius = std::sqrt(-2.0 * std::log(unit_interval(random)));
  return radius * std::cos(2.0 * std::numbers::pi * unit_interval(random));
}

std::uint64_t draw_length(Random& random, std::uint64_t room) {
  const double length = kMedianLength * std::exp(kLengthDeviation * standard_normal(random));
  return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(length), 1, room);
}

std::size_t draw_from(const std::vector<double>& mix, Random& random) {
  double rest = unit_interval(random);
  std::size_t drawn = 0;
  while (drawn + 1 < mix.size() && rest >= mix[drawn]) rest -= mix[drawn++];
  return drawn;
}

/// The order of the domains by share, most frequent first.
std::array<std::size_t, kDomains> domain_order(const SynthOptions& options, bool is_shifted) {
  std::array<std::size_t, kDomains> order;
  std::iota(order.begin(), order.end(), std::size_t{0});
  Random random = synth_random(options.seed, SynthStream::kTraffic, 0);
  random.shuffle(std::span<std::size_t>(order));
  // Half the way round, so that the domains that led are among the last.
  if (is_shifted) std::rotate(order.begin(), order.begin() + kDomains / 2, order.end());
  return order;
}

}  // namespace

Status SynthOptions::validate() const {
  if (windows < 1 || windows > kWindowsMax)
    return invalid_input(fmt::format("windows is {}; give a number from 1 to {}", windows, kWindowsMax), {"windows"});
  if (tokens < windows || tokens > kTokensMax)
    return invalid_input(
        fmt::format("tokens is {}; give a number from {}, the windows, to {}", tokens, windows, kTokensMax),
        {"tokens"});
  if (!(drift >= 0 && drift <= 1))
    return invalid_input(fmt::format("drift is {}; give a share from 0 to 1", drift), {"drift"});
  if (drift > 0 && windows < 2)
    return invalid_input(fmt::format("drift is {} but there is one window; give 2 windows or more", drift),
                         {"drift", "windows"});
  if (shift_at && windows < 2)
    return invalid_input(fmt::format("shift_at is {} but there is one window; give 2 windows or more", *shift_at),
                         {"shift_at", "windows"});
  if (shift_at && (*shift_at < 1 || *shift_at >= windows))
    return invalid_input(fmt::format("shift_at is {}; give a window from 1 to {}", *shift_at, windows - 1),
                         {"shift_at"});
  return {};
}

std::vector<double> domain_mix(const SynthOptions& options, std::size_t window) {
  const bool is_shifted = options.shift_at && window >= *options.shift_at;
  const auto order = domain_order(options, is_shifted);
  const std::size_t since = is_shifted ? window - *options.shift_at : window;
  const double moved =
      options.windows < 2 ? 0 : options.drift * static_cast<double>(since) / static_cast<double>(options.windows - 1);
  std::vector<double> mix(kDomains);
  for (std::size_t rank = 0; rank < kDomains; ++rank) {
    mix[order[rank]] += (1 - moved) * std::pow(kNextDomainShare, static_cast<double>(rank));
    mix[order[kDomains - 1 - rank]] += moved * std::pow(kNextDomainShare, static_cast<double>(rank));
  }
  const double total = std::accumulate(mix.begin(), mix.end(), 0.0);
  for (double& share : mix) share /= total;
  return mix;
}

std::vector<SyntheticSequence> plan_traffic(const SynthOptions& options) {
  std::vector<SyntheticSequence> sequences;
  for (std::size_t window = 0; window < options.windows; ++window) {
    const std::vector<double> mix = domain_mix(options, window);
    Random random = synth_random(options.seed, SynthStream::kTraffic, window + 1);
    const std::uint64_t end = options.tokens * (window + 1) / options.windows;
    for (std::uint64_t token = options.tokens * window / options.windows; token < end;) {
      const std::size_t category = draw_from(mix, random) * kStages + random.below(kStages);
      sequences.push_back({token, static_cast<std::uint32_t>(window), static_cast<std::uint32_t>(category)});
      token += draw_length(random, end - token);
    }
  }
  return sequences;
}

}  // namespace evenkeel
