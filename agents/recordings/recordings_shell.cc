#include "agents/recordings/recordings_shell.h"

#include <array>
#include <utility>

#include "agents/shell/overloaded.h"
#include "agents/wire/frame.h"

namespace evenkeel::agent {
namespace {

constexpr std::chrono::milliseconds kLookInterval{1'000};
constexpr int kMessagesPerStepMax = 64;

}  // namespace

Result<RecordingsShell> RecordingsShell::open(shell::SocketContext& context, RecordingsOptions options,
                                              Observer observer) {
  EVENKEEL_TRY(folder, RecordingsFolder::open(options.folder, options.state, options.reading, observer));
  EVENKEEL_TRY(dealer, shell::Socket::dealer(context, options.endpoints.rebalancer, options.endpoints.curve));
  return RecordingsShell(std::move(options), std::move(folder), std::move(observer), std::move(dealer));
}

Status RecordingsShell::do_work(std::chrono::milliseconds timeout) {
  const std::array<shell::Socket*, 1> sockets{&dealer_};
  shell::Socket::wait(sockets, timeout);
  const TimePoint now = std::chrono::steady_clock::now();
  if (!looked_at_ || now - *looked_at_ >= kLookInterval) {
    looked_at_ = now;
    EVENKEEL_TRY_STATUS(folder_.look());
  }
  if (!state_ && folder_.counts().has_model()) join(now);
  if (!state_) return {};
  take_messages();
  perform(state_->tick(now, {}));
  if (state_->is_report_due(now, {})) {
    perform(state_->report(now, {.number = 0, .steps = 0, .window = 0, .stages = folder_.counts().stages()}, losses()));
  }
  return {};
}

wire::Losses RecordingsShell::losses() const {
  wire::Losses losses;
  losses[wire::Loss::kRecordingsRefused] = folder_.refused();
  losses[wire::Loss::kMessagesDropped] = messages_dropped_;
  losses[wire::Loss::kSendsDropped] = state_->counters().sends_dropped;
  return losses;
}

void RecordingsShell::join(TimePoint now) {
  const RecordedCounts& counts = folder_.counts();
  AgentOptions options{.shape = {counts.layer_ids, counts.experts, std::nullopt},
                       .rank = 0,
                       .world = 0,
                       .incarnation = counts.incarnation,
                       .reports = counts.reports_from,
                       .report_interval = options_.report_interval,
                       .contact_timeout = options_.contact_timeout};
  state_.emplace(std::move(options), now);
  observer_({"observer_started", {{"incarnation", counts.incarnation}, {"folder", options_.folder.string()}}});
}

void RecordingsShell::set_intervals(std::chrono::milliseconds report_interval,
                                    std::chrono::milliseconds contact_timeout) {
  options_.report_interval = report_interval;
  options_.contact_timeout = contact_timeout;
  if (state_) state_->set_intervals(report_interval, contact_timeout);
}

void RecordingsShell::take_messages() {
  for (int i = 0; i < kMessagesPerStepMax; ++i) {
    const auto parts = dealer_.receive();
    if (!parts) return;
    const auto envelope = wire::open(*parts);
    if (!envelope) {
      ++messages_dropped_;
      observer_({"message_dropped", {{"reason", envelope.error().message}}});
    } else if (envelope->sender != wire::kRebalancerName || envelope->model != options_.model) {
      ++messages_dropped_;
    } else {
      perform(state_->on_message(envelope->message, std::chrono::steady_clock::now()));
    }
  }
}

void RecordingsShell::perform(const Actions& actions) {
  for (const Action& action : actions) {
    std::visit(shell::Overloaded{
                   [&](const Send& send) {
                     const wire::Frames frames = wire::seal({options_.worker, options_.model, ++sent_, send.message});
                     if (dealer_.send(frames) != shell::Socket::Sent::kQueued) state_->on_dropped();
                   },
                   [&](const wire::Note& note) { observer_(note); },
                   // There is no worker to load anything.
                   [](const auto&) {}},
               action);
  }
}

void RecordingsShell::stop() {
  observer_({"agent_stopped",
             {{"recordings_counted", folder_.counted()},
              {"recordings_refused", folder_.refused()},
              {"reports_sent", state_ ? state_->counters().reports_sent : 0}}});
}

}  // namespace evenkeel::agent
