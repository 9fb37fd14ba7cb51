#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <queue>
#include <tuple>
#include <vector>

#include "partition/cost/step_time.h"
#include "partition/foundation/random.h"

namespace evenkeel::all_to_all_simulation_test {
namespace {

/// A message over one tier; `after` is the number of one that has to arrive first, as a gate passes on what it got.
struct Message {
  std::size_t from;
  std::size_t to;
  double bytes;
  std::optional<std::size_t> after = std::nullopt;
};

/// A port of a GPU, serving one message after the other in the order of their coming.
class Port {
 public:
  /// When a message that comes at `now` has passed.
  double pass(double now, double seconds) {
    free_at_ = std::max(now, free_at_) + seconds;
    return free_at_;
  }

 private:
  double free_at_ = 0;
};

/// Discrete events: messages come to the out port of their sender, then to the in port of their receiver, store and
/// forward. A token's message is small beside all that a port has to pass.
class Network {
 public:
  explicit Network(const Cluster& cluster) : cluster_(cluster) {
    for (auto& tier : ports_) tier.assign(2, std::vector<Port>(cluster.gpus));
  }

  /// Seconds until the last message is there; all that wait for none start at 0, in an order drawn at random.
  double run(std::vector<Message> messages, std::uint64_t seed) {
    messages_ = std::move(messages);
    Random random(seed, 0);
    std::vector<std::size_t> order(messages_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    for (std::size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
    followers_.assign(messages_.size(), {});
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      if (messages_[i].after) followers_[*messages_[i].after].push_back(i);
    }
    for (const std::size_t i : order) {
      if (!messages_[i].after) add(0, i, true);
    }
    double end = 0;
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      end = std::max(end, step(event));
    }
    return end;
  }

 private:
  static constexpr std::size_t kOut = 0, kIn = 1;

  struct Event {
    double time;
    std::size_t number;
    std::size_t message;
    bool is_leaving;
    bool operator>(const Event& other) const { return std::tie(time, number) > std::tie(other.time, other.number); }
  };

  void add(double time, std::size_t message, bool is_leaving) { events_.push({time, number_++, message, is_leaving}); }

  double step(const Event& event) {
    const Message& message = messages_[event.message];
    const bool is_inter = message.from / cluster_.gpus_per_node() != message.to / cluster_.gpus_per_node();
    const Link& link = is_inter ? cluster_.inter_node : cluster_.intra_node;
    const double seconds = message.bytes / (link.bandwidth_gb_per_s * 1e9);
    auto& tier = ports_[is_inter ? 1 : 0];
    if (event.is_leaving) {
      add(tier[kOut][message.from].pass(event.time, seconds), event.message, false);
      return 0;
    }
    const double arrived = tier[kIn][message.to].pass(event.time, seconds);
    for (const std::size_t follower : followers_[event.message]) add(arrived, follower, true);
    return arrived;
  }

  const Cluster& cluster_;
  std::vector<std::vector<Port>> ports_[2];
  std::vector<Message> messages_;
  std::vector<std::vector<std::size_t>> followers_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::size_t number_ = 0;
};

/// The tokens of one round as messages: there, and back once all is there.
struct Round {
  std::vector<Message> dispatch;
  std::vector<Message> combine;
};

struct Case {
  std::size_t gpus;
  std::size_t nodes;
  std::size_t tokens;
  std::uint64_t seed;
  /// How much more one GPU is chosen than another.
  bool is_skewed;
};

RoutingProfile random_profile(const Case& of) {
  Random random(of.seed, 1);
  RoutingProfile profile;
  profile.shape = {{0}, of.gpus, std::nullopt};
  profile.paths.top_k = 2;
  profile.paths.layer_of_round = {0};
  const auto gpus = static_cast<std::uint32_t>(of.gpus);
  Grid<std::uint64_t> load(1, of.gpus);
  for (std::size_t token = 0; token < of.tokens; ++token) {
    profile.paths.sequence_start.push_back(token);
    const std::uint32_t first = of.is_skewed ? std::min(random.below(gpus), random.below(gpus)) : random.below(gpus);
    const std::uint32_t second = (first + 1 + random.below(gpus - 1)) % gpus;
    for (const std::uint32_t expert : {first, second}) {
      profile.paths.experts.push_back(static_cast<ExpertIndex>(expert));
      ++load(0, expert);
    }
  }
  profile.paths.sequence_start.push_back(of.tokens);
  profile.windows = {{.load_tokens = std::move(load)}};
  return profile;
}

/// What the documentation says of a token's way: once to each other node, to the GPU of its home's rank there, and on.
Round messages_of(const RoutingProfile& profile, const Cluster& cluster, const StepTimeModel& model) {
  const std::size_t per_node = cluster.gpus_per_node();
  Round round;
  for (std::size_t token = 0; token < profile.paths.sequences(); ++token) {
    const std::size_t home = token % cluster.gpus;
    std::vector<std::optional<std::size_t>> there(cluster.nodes), back(cluster.nodes);
    std::vector<std::vector<std::size_t>> gpus_of_node(cluster.nodes);
    for (const ExpertIndex expert : profile.paths.chosen(token, 0)) gpus_of_node[expert / per_node].push_back(expert);
    for (std::size_t node = 0; node < cluster.nodes; ++node) {
      if (gpus_of_node[node].empty()) continue;
      const std::size_t gate = node * per_node + home % per_node;
      if (gate != home) {
        there[node] = round.dispatch.size();
        round.dispatch.push_back({home, gate, model.dispatch_bytes});
      }
      std::optional<std::size_t> last;
      for (const std::size_t gpu : gpus_of_node[node]) {
        if (gpu == gate) continue;
        round.dispatch.push_back({gate, gpu, model.dispatch_bytes, there[node]});
        last = round.combine.size();
        round.combine.push_back({gpu, gate, model.combine_bytes});
      }
      if (gate != home) round.combine.push_back({gate, home, model.combine_bytes, last});
    }
  }
  return round;
}

class AllToAll : public ::testing::TestWithParam<Case> {};

/// Without what depends on no bytes.
double transfer_seconds(const RoutingProfile& profile, const Cluster& cluster, const StepTimeModel& model) {
  const auto placement = contiguous_placement({0}, cluster.gpus, 0, cluster.gpus, cluster.nodes);
  LayerTraffic traffic = layer_traffic(profile, *placement, cluster, model, Comm::kDispatch).front();
  const Link& outer = cluster.nodes > 1 ? cluster.inter_node : cluster.intra_node;
  return std::chrono::duration<double>(transfer_time(traffic, cluster) - outer.latency).count();
}

/// Messages wait a little for one another even where a port is always busy.
constexpr double kWaiting = 0.03;
/// The formula adds up what a GPU sends in dispatch and in combine, though one follows the other: a GPU that receives
/// most in the one and sends most in the other is slower than that.
constexpr double kSkewed = 0.15;

TEST_P(AllToAll, takes_what_the_formula_says) {
  const Case& of = GetParam();
  const Cluster cluster{.gpus = of.gpus, .nodes = of.nodes};
  StepTimeModel model;
  model.batch_tokens = of.tokens;
  const RoutingProfile profile = random_profile(of);
  const Round round = messages_of(profile, cluster, model);
  const double simulated = Network(cluster).run(round.dispatch, of.seed) + Network(cluster).run(round.combine, of.seed);
  const double formula = transfer_seconds(profile, cluster, model);
  EXPECT_GE(simulated, formula * (1 - 1e-9));
  EXPECT_LE(simulated, formula * (1 + (of.is_skewed ? kSkewed : kWaiting)));
  StepTimeModel there = model, back = model;
  there.combine_bytes = back.dispatch_bytes = 0;
  const double one_after_the_other =
      transfer_seconds(profile, cluster, there) + transfer_seconds(profile, cluster, back);
  EXPECT_GE(simulated, one_after_the_other * (1 - 1e-9));
  EXPECT_LE(simulated, one_after_the_other * (1 + kWaiting));
}

INSTANTIATE_TEST_SUITE_P(Random, AllToAll,
                         ::testing::Values(Case{4, 1, 8192, 1, false}, Case{4, 1, 8192, 2, true},
                                           Case{8, 1, 16384, 3, false}, Case{8, 1, 16384, 4, true},
                                           Case{8, 2, 16384, 5, false}, Case{8, 2, 16384, 6, true},
                                           Case{16, 4, 32768, 7, false}, Case{16, 4, 32768, 8, true},
                                           Case{32, 4, 32768, 9, true}));

}  // namespace
}  // namespace evenkeel::all_to_all_simulation_test
