#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "pipeline/inspect/segment_cache.h"
#include "pipeline/inspect/segment_routing.h"
#include "tests/pipeline/random_paths.h"

namespace evenkeel::consistency_test {
namespace {

using testing::random_trace;
using testing::RandomPaths;

bool uses(const TokenPaths& paths, std::size_t token, std::size_t round, std::size_t expert) {
  const auto chosen = paths.chosen(token, round);
  return std::ranges::find(chosen, static_cast<ExpertIndex>(expert)) != chosen.end();
}

/// f(e, T, p, m) of every segment, straight from the definition (equation 3).
std::vector<int> segment_uses(const TokenPaths& paths, std::size_t round, std::size_t expert, std::size_t m) {
  std::vector<int> all;
  for (std::size_t sequence = 0; sequence < paths.sequences(); ++sequence) {
    for (std::size_t p = paths.sequence_start[sequence]; p + m <= paths.sequence_start[sequence + 1]; ++p) {
      int f = 0;
      for (std::size_t i = p; i < p + m; ++i) f += int{uses(paths, i, round, expert)};
      all.push_back(f);
    }
  }
  return all;
}

double f1_of(const std::vector<int>& f, const std::vector<bool>& is_on, std::size_t m) {
  double matches = 0;
  double sizes = 0;
  for (std::size_t i = 0; i < f.size(); ++i) {
    if (is_on[i]) matches += f[i];
    sizes += f[i] + (is_on[i] ? static_cast<double>(m) : 0.0);
  }
  return sizes > 0 ? 2 * matches / sizes : 0;
}

/// The largest F1 of all 2^n routers.
double best_of_all_routers(const std::vector<int>& f, std::size_t m) {
  double best = 0;
  for (std::size_t router = 0; router < std::size_t{1} << f.size(); ++router) {
    std::vector<bool> is_on;
    for (std::size_t i = 0; i < f.size(); ++i) is_on.push_back((router >> i & 1U) != 0);
    best = std::max(best, f1_of(f, is_on, m));
  }
  return best;
}

/// The largest F1 of all thresholds, and the size ratio there: on segments times m over uses.
SegmentRouter best_of_all_thresholds(const std::vector<int>& f, std::size_t m) {
  SegmentRouter best;
  for (std::size_t threshold = m + 1; threshold-- > 0;) {
    std::vector<bool> is_on;
    double segments_on = 0;
    double used = 0;
    for (const int uses_of_segment : f) {
      is_on.push_back(uses_of_segment >= static_cast<int>(threshold));
      segments_on += is_on.back() ? 1 : 0;
      used += uses_of_segment;
    }
    const bool occurs = std::ranges::find(f, static_cast<int>(threshold)) != f.end();
    const double f1 = f1_of(f, is_on, m);
    if (used > 0 && occurs && f1 >= best.srp) best = {f1, threshold, static_cast<double>(m) * segments_on / used};
  }
  return best;
}

void expect_equal(const SegmentRouter& router, const std::vector<int>& f, std::size_t m) {
  const SegmentRouter wanted = best_of_all_thresholds(f, m);
  EXPECT_DOUBLE_EQ(router.srp, wanted.srp);
  EXPECT_EQ(router.threshold, wanted.threshold);
  ASSERT_EQ(router.size_ratio.has_value(), wanted.size_ratio.has_value());
  EXPECT_DOUBLE_EQ(router.size_ratio.value_or(0), wanted.size_ratio.value_or(0));
  // The paper's proof (appendix C.3): the best router is on exactly where f >= m / 2 SRP.
  EXPECT_GE(static_cast<double>(router.threshold) + 1e-9, static_cast<double>(m) / 2 * wanted.srp);
}

TEST(SegmentRouting, equals_every_threshold_tried_for_experts_rounds_and_model) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const RandomPaths shape{{9, 3, 14, 1, 6}, {0, 1, 1}, 6, 2, seed % 2 == 0 ? 5U : 0U};
    const RoutingProfile profile = profile_of(random_trace(shape, seed));
    for (const SegmentRouting& routing : segment_routing(profile, {1, 2, 3, 5, 8}, 1 + seed % 2)) {
      const std::size_t m = routing.segment_tokens;
      std::vector<int> model;
      for (std::size_t round = 0; round < 3; ++round) {
        std::vector<int> layer;
        for (std::size_t expert = 0; expert < shape.experts; ++expert) {
          const std::vector<int> f = segment_uses(profile.paths, round, expert, m);
          EXPECT_EQ(routing.segments, f.size());
          expect_equal(routing.experts(round, expert), f, m);
          layer.insert(layer.end(), f.begin(), f.end());
        }
        expect_equal(routing.rounds[round], layer, m);
        model.insert(model.end(), layer.begin(), layer.end());
      }
      expect_equal(routing.model, model, m);
    }
  }
}

TEST(SegmentRouting, is_beaten_by_no_router_at_all) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const RoutingProfile profile = profile_of(random_trace({{5, 4}, {0}, 2, 1, 3}, seed));
    for (const SegmentRouting& routing : segment_routing(profile, {2, 3, 4}, 1)) {
      std::vector<int> both;
      for (std::size_t expert = 0; expert < 2; ++expert) {
        const std::vector<int> f = segment_uses(profile.paths, 0, expert, routing.segment_tokens);
        EXPECT_DOUBLE_EQ(routing.experts(0, expert).srp, best_of_all_routers(f, routing.segment_tokens));
        both.insert(both.end(), f.begin(), f.end());
      }
      ASSERT_LE(both.size(), 18U);
      EXPECT_DOUBLE_EQ(routing.model.srp, best_of_all_routers(both, routing.segment_tokens));
    }
  }
}

TEST(SegmentRouting, is_one_for_segments_of_one_token_and_zero_without_segments) {
  const RoutingProfile profile = profile_of(random_trace({}, 4));
  const auto routing = segment_routing(profile, {1, 10}, 1);
  EXPECT_DOUBLE_EQ(routing[0].model.srp, 1);
  EXPECT_DOUBLE_EQ(*routing[0].model.size_ratio, 1);
  EXPECT_EQ(routing[1].segments, 0U);
  EXPECT_DOUBLE_EQ(routing[1].model.srp, 0);
  EXPECT_FALSE(routing[1].model.size_ratio);
}

TEST(SegmentRouting, is_what_chance_gives_where_tokens_do_not_know_their_neighbours) {
  Random random(7, 0);
  Trace trace = random_trace({{20000}, {0}, 8, 2, 0}, 1);
  for (std::size_t token = 0; token < trace.paths.tokens(); ++token) {
    const std::uint32_t first = random.below(8);
    trace.paths.experts[2 * token] = static_cast<ExpertIndex>(first);
    trace.paths.experts[2 * token + 1] = static_cast<ExpertIndex>((first + 1 + random.below(7)) % 8);
  }
  for (const SegmentRouting& routing : segment_routing(profile_of(trace), {4, 16, 64}, 1)) {
    EXPECT_NEAR(routing.model.srp, routing.model_chance, 0.01);
  }
}

/// One cache over the given rounds, replayed with sets straight from the definition.
double replayed_hit_rate(const TokenPaths& paths, const std::vector<std::size_t>& rounds, std::size_t places,
                         std::size_t m, std::size_t stride) {
  using Expert = std::pair<std::uint32_t, ExpertIndex>;
  const auto demanded_by = [&](std::size_t token) {
    std::multiset<Expert> all;
    for (const std::size_t round : rounds) {
      for (const ExpertIndex expert : paths.chosen(token, round)) {
        if (expert != kNoExpert) all.insert({paths.layer_of_round[round], expert});
      }
    }
    return all;
  };
  double hits = 0;
  double demands = 0;
  for (std::size_t sequence = 0; sequence < paths.sequences(); sequence += stride) {
    std::set<Expert> cache;
    std::map<Expert, std::size_t> last_use;
    for (std::size_t token = paths.sequence_start[sequence]; token < paths.sequence_start[sequence + 1]; ++token) {
      const auto all = demanded_by(token);
      const std::set<Expert> demanded(all.begin(), all.end());
      demands += static_cast<double>(demanded.size());
      for (const Expert& expert : demanded) {
        last_use[expert] = token;
        // A hit, or loaded into a free place.
        if (cache.contains(expert)) ++hits;
      }
      for (const Expert& expert : demanded) {
        if (cache.contains(expert)) continue;
        if (cache.size() < places) {
          ++hits;
        } else {
          std::map<Expert, std::size_t> coming;
          for (std::size_t i = token + 1; i <= token + m && i < paths.sequence_start[sequence + 1]; ++i) {
            for (const Expert& later : demanded_by(i)) ++coming[later];
          }
          std::vector<std::tuple<std::size_t, std::size_t, Expert>> unused;
          for (const Expert& held : cache) {
            if (!demanded.contains(held)) unused.emplace_back(coming[held], last_use[held], held);
          }
          cache.erase(std::get<2>(*std::ranges::min_element(unused)));
        }
        cache.insert(expert);
      }
    }
  }
  return demands > 0 ? hits / demands : 0;
}

TEST(SegmentCaches, equal_a_replay_of_the_definition) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    const RandomPaths shape{{25, 4, 40, 1, 12}, {0, 1, 1}, 7, 2, seed % 3 == 0 ? 0U : 6U};
    const RoutingProfile profile = profile_of(random_trace(shape, seed));
    for (const std::size_t tokens_max : {0U, 40U}) {
      const std::size_t stride = tokens_max == 0 ? 1 : 2;
      for (const SegmentCache& cache : segment_caches(profile, {1, 3, 10}, {1, 1.5, 2}, tokens_max, 1 + seed % 2)) {
        const std::size_t m = cache.segment_tokens;
        for (std::size_t round = 0; round < 3; ++round) {
          const auto places = static_cast<std::size_t>(cache.cache_ratio * 2);
          EXPECT_DOUBLE_EQ(cache.rounds[round], replayed_hit_rate(profile.paths, {round}, places, m, stride));
        }
        const auto places = static_cast<std::size_t>(cache.cache_ratio * 6);
        EXPECT_DOUBLE_EQ(cache.model, replayed_hit_rate(profile.paths, {0, 1, 2}, places, m, stride));
      }
    }
  }
}

TEST(SegmentCaches, hit_always_where_the_cache_holds_every_expert) {
  const RoutingProfile profile = profile_of(random_trace({}, 9));
  const auto caches = segment_caches(profile, {4}, {2.5}, 0, 2);
  EXPECT_DOUBLE_EQ(caches[0].router, 1);
  EXPECT_DOUBLE_EQ(caches[0].model, 1);
}

}  // namespace
}  // namespace evenkeel::consistency_test
