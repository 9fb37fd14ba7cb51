#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "agents/agent/agent_state.h"
#include "agents/probe/probe_reader.h"
#include "agents/shell/zmq_adapter.h"
#include "partition/foundation/result.h"

namespace evenkeel::agent {

struct Endpoints {
  /// Of the rebalancer's ROUTER.
  std::string rebalancer;
  /// Of its PUB.
  std::string subscribe;
  /// Off: the rebalancer's sockets take anyone.
  shell::Curve curve = {};
};

struct TrafficCounters {
  std::uint64_t messages_malformed = 0;
  /// For another model or not from a rebalancer.
  std::uint64_t messages_misaddressed = 0;
  std::uint64_t broadcast_gaps = 0;
};

/// Carries messages between one AgentState, one worker's probe and the rebalancer. Holds no rules. One thread.
class AgentShell {
 public:
  using Observer = std::function<void(const wire::Note&)>;

  /// Connecting is lazy: a rebalancer that is not there yet is no error. Fails with kInvalidInput for an endpoint that
  /// cannot be read.
  [[nodiscard]] static Result<AgentShell> connect(shell::SocketContext& context, const Endpoints& endpoints,
                                                  AgentState state, probe::ProbeReader probe, Observer observer);

  /// Takes up to 64 messages, looks at the worker and sends what is due. Never waits.
  void do_work();
  /// To wait on.
  void add_sockets(std::vector<shell::Socket*>& sockets);

  /// As AgentState::set_intervals().
  void set_intervals(std::chrono::milliseconds report_interval, std::chrono::milliseconds contact_timeout) {
    state_.set_intervals(report_interval, contact_timeout);
  }

  [[nodiscard]] const AgentState& state() const { return state_; }
  [[nodiscard]] probe::ProbeReader& probe() { return probe_; }
  [[nodiscard]] const TrafficCounters& traffic() const { return traffic_; }
  /// The worker has ended, and the rebalancer has all that it counted on its disk.
  [[nodiscard]] bool is_all_told() const { return state_.is_last_answered(); }

 private:
  AgentShell(AgentState state, probe::ProbeReader probe, Observer observer, shell::Socket dealer,
             shell::Socket subscriber);

  enum class Source { kDirect, kBroadcast };
  /// False where no message was waiting.
  [[nodiscard]] bool take_message(shell::Socket& socket, Source source);
  void notice_gap(std::uint64_t sequence, TimePoint now);
  void report(TimePoint now, bool is_last);
  void send_paths();
  [[nodiscard]] wire::Losses losses(const probe::Tally& tally) const;
  void perform(Actions actions);
  void load(const Load& load);
  void send(const wire::Message& message);

  AgentState state_;
  probe::ProbeReader probe_;
  std::string worker_;
  std::string model_;
  Observer observer_;
  shell::Socket dealer_;
  shell::Socket subscriber_;
  std::uint64_t sent_ = 0;
  std::uint64_t broadcast_sequence_ = 0;
  TrafficCounters traffic_;
};

}  // namespace evenkeel::agent
