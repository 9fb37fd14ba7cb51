// Times `evenkeel profile`'s reading and counting beside a bare counting loop over ids that lie in memory, in
// alternating rounds: profile_speed TRACE.npz [ROUNDS]. Prints nanoseconds a token-layer and the most memory used.

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "pipeline/profile/profiler.h"

namespace evenkeel {
namespace {

/// Ids the bare loop goes round in: they stay in the second-level cache, so that it waits for no memory.
constexpr std::size_t kBareIds = std::size_t{1} << 18;

/// The profiler, and beside it the first tokens as one byte or two each, as the bare loop takes them.
class TimedProfiler : public Profiler {
 public:
  TimedProfiler() : Profiler(ProfileOptions{}) {}
  Status begin(const std::string& path, const RecordingHeader& header) override {
    header_ = header;
    return Profiler::begin(path, header);
  }
  Status tokens(std::span<const ExpertIndex> experts) override {
    const std::size_t wanted = std::min(experts.size(), kBareIds - std::min(kBareIds, first_.size()));
    first_.insert(first_.end(), experts.begin(), experts.begin() + static_cast<std::ptrdiff_t>(wanted));
    return Profiler::tokens(experts);
  }
  [[nodiscard]] const std::vector<ExpertIndex>& first_ids() const { return first_; }
  [[nodiscard]] std::size_t rounds() const { return header_.layer_of_round.size(); }
  [[nodiscard]] std::size_t top_k() const { return header_.top_k; }

 private:
  RecordingHeader header_;
  std::vector<ExpertIndex> first_;
};

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// One increment an id, nothing else.
template <std::size_t kTopK, class Id>
void count_bare(const std::vector<Id>& ids, std::size_t rounds, std::size_t experts, std::uint64_t* table) {
  const Id* id = ids.data();
  for (std::size_t token = 0; token < ids.size() / (rounds * kTopK); ++token) {
    for (std::size_t round = 0; round < rounds; ++round) {
      std::uint64_t* const load = table + round * experts;
      for (std::size_t choice = 0; choice < kTopK; ++choice) ++load[*id++];
    }
  }
}

template <std::size_t kTopK>
double bare_seconds(const std::vector<ExpertIndex>& wide, std::size_t rounds, std::uint64_t tokens) {
  const std::size_t token_ids = rounds * kTopK;
  const std::vector<ExpertIndex> ids(wide.begin(),
                                     wide.begin() + static_cast<std::ptrdiff_t>(wide.size() / token_ids * token_ids));
  const std::size_t experts = std::size_t{*std::ranges::max_element(ids)} + 1;
  const std::vector<std::uint8_t> narrow(ids.begin(), ids.end());
  std::vector<std::uint64_t> table(rounds * experts);
  const std::uint64_t repeats = tokens / (ids.size() / token_ids);
  const auto start = Clock::now();
  for (std::uint64_t i = 0; i < repeats; ++i) {
    if (experts <= 256) {
      count_bare<kTopK>(narrow, rounds, experts, table.data());
    } else {
      count_bare<kTopK>(ids, rounds, experts, table.data());
    }
  }
  const double seconds = seconds_since(start);
  std::uint64_t counted = 0;
  for (const std::uint64_t load : table) counted += load;
  if (counted != repeats * ids.size()) fmt::print(stderr, "profile_speed: the bare loop miscounted\n");
  return seconds * static_cast<double>(tokens) / static_cast<double>(repeats * (ids.size() / token_ids));
}

double bare_seconds(const TimedProfiler& profiler) {
  const auto& ids = profiler.first_ids();
  switch (profiler.top_k()) {
    case 2:
      return bare_seconds<2>(ids, profiler.rounds(), profiler.tokens_read());
    case 4:
      return bare_seconds<4>(ids, profiler.rounds(), profiler.tokens_read());
    case 6:
      return bare_seconds<6>(ids, profiler.rounds(), profiler.tokens_read());
    default:
      return bare_seconds<8>(ids, profiler.rounds(), profiler.tokens_read());
  }
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

std::string spread(const std::vector<double>& values) {
  const auto [least, most] = std::ranges::minmax(values);
  return fmt::format("{:7.2f} {:7.2f} {:7.2f}", median(values), least, most);
}

int run(const char* path, std::size_t rounds) {
  std::vector<double> profile_ns;
  std::vector<double> bare_ns;
  std::vector<double> ratios;
  std::uint64_t tokens = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    TimedProfiler profiler;
    const auto start = Clock::now();
    if (const Status status = read_recordings({path}, {}, profiler); !status) {
      fmt::print(stderr, "profile_speed: {}\n", status.error().message);
      return exit_code(status.error().code);
    }
    const double seconds = seconds_since(start);
    tokens = profiler.tokens_read();
    const std::size_t top_k = profiler.top_k();
    if (tokens == 0 || (top_k != 2 && top_k != 4 && top_k != 6 && top_k != 8)) {
      fmt::print(stderr, "profile_speed: {}: give a trace of token paths with top-2, 4, 6 or 8\n", path);
      return exit_code(ErrorCode::kInvalidInput);
    }
    const double token_layers = static_cast<double>(tokens * profiler.rounds());
    profile_ns.push_back(seconds / token_layers * 1e9);
    bare_ns.push_back(bare_seconds(profiler) / token_layers * 1e9);
    ratios.push_back(profile_ns.back() / bare_ns.back());
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print("ns a token-layer         median   least    most\n");
  fmt::print("evenkeel profile        {}\n", spread(profile_ns));
  fmt::print("bare counting loop      {}\n", spread(bare_ns));
  fmt::print("ratio                   {}\n", spread(ratios));
  fmt::print("{} tokens, {} rounds, {} MB of memory at most\n", tokens, rounds, usage.ru_maxrss / 1000);
  return 0;
}

}  // namespace
}  // namespace evenkeel

int main(int argc, char** argv) {
  std::size_t rounds = 5;
  bool is_usage_right = argc == 2 || argc == 3;
  if (argc == 3) {
    const std::string_view text(argv[2]);
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), rounds);
    is_usage_right = error == std::errc() && rest == text.data() + text.size() && rounds > 0;
  }
  if (!is_usage_right) {
    std::fputs("usage: profile_speed TRACE.npz [ROUNDS]\n", stderr);
    return 2;
  }
  return evenkeel::run(argv[1], rounds);
}
