#include "pipeline/inspect/segment_cache.h"

#include <algorithm>
#include <compare>
#include <cstdint>
#include <span>

#include "partition/foundation/parallel.h"

namespace evenkeel {
namespace {

/// What caches know of each expert while a sequence is replayed.
struct ExpertState {
  /// Uses in the next m tokens.
  std::uint32_t coming = 0;
  /// Last token, counted from 1 within the sequence, that used it; 0: none.
  std::uint32_t last_used = 0;
};

class Cache {
 public:
  Cache(std::size_t places, std::size_t experts) : places_(places), is_cached_(experts, 0) {}

  void clear() {
    for (const std::uint32_t expert : cached_) is_cached_[expert] = 0;
    cached_.clear();
  }

  /// Serves one token; `states` already has it as the last use of what it demands.
  void serve(std::span<const std::uint32_t> demanded, std::uint32_t token, const std::vector<ExpertState>& states) {
    missing_.clear();
    for (const std::uint32_t expert : demanded) {
      if (is_cached_[expert] == 0) missing_.push_back(expert);
    }
    const std::size_t wanted = cached_.size() + missing_.size();
    const std::size_t evictions = wanted > places_ ? wanted - places_ : 0;
    hits_ += demanded.size() - evictions;
    if (evictions > 0) evict(evictions, token, states);
    for (const std::uint32_t expert : missing_) {
      is_cached_[expert] = 1;
      cached_.push_back(expert);
    }
  }

  [[nodiscard]] std::uint64_t hits() const { return hits_; }

 private:
  void evict(std::size_t count, std::uint32_t token, const std::vector<ExpertState>& states) {
    candidates_.clear();
    for (const std::uint32_t expert : cached_) {
      const ExpertState& state = states[expert];
      if (state.last_used == token) continue;
      candidates_.push_back({(std::uint64_t{state.coming} << 32) | state.last_used, expert});
    }
    const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(count);
    if (end != candidates_.end()) std::nth_element(candidates_.begin(), end - 1, candidates_.end());
    for (auto candidate = candidates_.begin(); candidate != end; ++candidate) is_cached_[candidate->expert] = 0;
    std::erase_if(cached_, [&](std::uint32_t expert) { return is_cached_[expert] == 0; });
  }

  struct Candidate {
    /// Uses to come, then last use.
    std::uint64_t worth;
    std::uint32_t expert;
    auto operator<=>(const Candidate&) const = default;
  };

  std::size_t places_;
  std::vector<std::uint8_t> is_cached_;
  std::vector<std::uint32_t> cached_;
  std::vector<std::uint32_t> missing_;
  std::vector<Candidate> candidates_;
  std::uint64_t hits_ = 0;
};

/// Rounds that share a cache.
struct CacheGroup {
  std::size_t first_round;
  std::size_t rounds;
};

struct HitCount {
  std::uint64_t demanded = 0;
  /// [cache ratios]
  std::vector<std::uint64_t> hits;
};

class Replay {
 public:
  Replay(const RoutingProfile& profile, CacheGroup group, std::size_t segment_tokens, const std::vector<double>& ratios,
         std::size_t stride)
      : paths_(profile.paths),
        experts_(profile.shape.experts),
        group_(group),
        segment_tokens_(segment_tokens),
        stride_(stride) {
    const std::size_t layers = group.rounds == 1 ? 1 : profile.shape.layers();
    states_.resize(layers * experts_);
    const double used = static_cast<double>(paths_.top_k * group.rounds);
    for (const double ratio : ratios) {
      // Rounding is to lose no place to a ratio such as 1.1 whose product with 10 is just below 11.
      const double places =
          std::min(ratio * used * (1 + 1e-12), static_cast<double>(states_.size() + paths_.top_k * group.rounds));
      caches_.emplace_back(static_cast<std::size_t>(places), states_.size());
    }
  }

  HitCount run() {
    for (std::size_t sequence = 0; sequence < paths_.sequences(); sequence += stride_) {
      run_sequence(paths_.sequence_start[sequence], paths_.sequence_start[sequence + 1]);
    }
    HitCount count{demanded_count_, {}};
    for (const Cache& cache : caches_) count.hits.push_back(cache.hits());
    return count;
  }

 private:
  void run_sequence(std::size_t begin, std::size_t end) {
    std::ranges::fill(states_, ExpertState{});
    for (Cache& cache : caches_) cache.clear();
    for (std::size_t next = begin + 1; next < std::min(end, begin + 1 + segment_tokens_); ++next) add_coming(next, +1);
    for (std::size_t token = begin; token < end; ++token) {
      const auto number = static_cast<std::uint32_t>(token - begin + 1);
      collect_demand(token, number);
      demanded_count_ += demanded_.size();
      for (Cache& cache : caches_) cache.serve(demanded_, number, states_);
      if (token + 1 < end) add_coming(token + 1, -1);
      if (token + 1 + segment_tokens_ < end) add_coming(token + 1 + segment_tokens_, +1);
    }
  }

  template <class Use>
  void for_each_use(std::size_t token, Use&& use) const {
    for (std::size_t round = group_.first_round; round < group_.first_round + group_.rounds; ++round) {
      const std::size_t base = group_.rounds == 1 ? 0 : paths_.layer_of_round[round] * experts_;
      for (const ExpertIndex expert : paths_.chosen(token, round)) {
        if (expert != kNoExpert) use(static_cast<std::uint32_t>(base + expert));
      }
    }
  }

  void add_coming(std::size_t token, int by) {
    for_each_use(token, [&](std::uint32_t expert) { states_[expert].coming += static_cast<std::uint32_t>(by); });
  }

  /// The experts a token uses; one that two rounds of a layer use is demanded once.
  void collect_demand(std::size_t token, std::uint32_t number) {
    demanded_.clear();
    for_each_use(token, [&](std::uint32_t expert) {
      if (states_[expert].last_used == number) return;
      states_[expert].last_used = number;
      demanded_.push_back(expert);
    });
  }

  const TokenPaths& paths_;
  std::size_t experts_;
  CacheGroup group_;
  std::size_t segment_tokens_;
  /// Every stride-th sequence is replayed.
  std::size_t stride_;
  std::vector<ExpertState> states_;
  std::vector<Cache> caches_;
  std::vector<std::uint32_t> demanded_;
  std::uint64_t demanded_count_ = 0;
};

double rate(std::uint64_t hits, std::uint64_t demanded) {
  return demanded == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(demanded);
}

}  // namespace

std::vector<SegmentCache> segment_caches(const RoutingProfile& profile, const std::vector<std::size_t>& segment_tokens,
                                         const std::vector<double>& cache_ratios, std::size_t tokens_max,
                                         std::size_t threads) {
  const TokenPaths& paths = profile.paths;
  const std::size_t stride =
      tokens_max == 0 ? 1 : std::max<std::size_t>(1, (paths.tokens() + tokens_max / 2) / tokens_max);
  const std::size_t rounds = profile.paths.rounds();
  const std::size_t lengths = segment_tokens.size();
  // The caches that all rounds share come first: they are the longest items.
  std::vector<HitCount> counts(lengths * (rounds + 1));
  for_each_item(counts.size(), threads, [&](std::size_t item) {
    const bool is_model = item < lengths;
    const CacheGroup group = is_model ? CacheGroup{0, rounds} : CacheGroup{(item - lengths) / lengths, 1};
    counts[item] = Replay(profile, group, segment_tokens[item % lengths], cache_ratios, stride).run();
  });
  std::size_t tokens = 0;
  for (std::size_t sequence = 0; sequence < paths.sequences(); sequence += stride) {
    tokens += paths.sequence_start[sequence + 1] - paths.sequence_start[sequence];
  }
  std::vector<SegmentCache> all;
  for (std::size_t length = 0; length < lengths; ++length) {
    for (std::size_t i = 0; i < cache_ratios.size(); ++i) {
      SegmentCache cache{segment_tokens[length], tokens, cache_ratios[i], {}, 0, 0};
      std::uint64_t hits = 0;
      std::uint64_t demanded = 0;
      for (std::size_t round = 0; round < rounds; ++round) {
        const HitCount& count = counts[(round + 1) * lengths + length];
        cache.rounds.push_back(rate(count.hits[i], count.demanded));
        hits += count.hits[i];
        demanded += count.demanded;
      }
      cache.router = rate(hits, demanded);
      cache.model = rate(counts[length].hits[i], counts[length].demanded);
      all.push_back(std::move(cache));
    }
  }
  return all;
}

}  // namespace evenkeel
