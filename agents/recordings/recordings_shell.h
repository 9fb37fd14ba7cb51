#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "agents/agent/agent_shell.h"
#include "agents/agent/agent_state.h"
#include "agents/recordings/recordings_folder.h"
#include "agents/shell/zmq_adapter.h"
#include "agents/wire/note.h"
#include "partition/foundation/result.h"

namespace evenkeel::agent {

struct RecordingsOptions {
  std::filesystem::path folder;
  std::filesystem::path state;
  RecordingOptions reading;
  /// Of the observer and of its model.
  std::string worker;
  std::string model;
  Endpoints endpoints;
  std::chrono::milliseconds report_interval{1'000};
  std::chrono::milliseconds contact_timeout{3'000};
};

/// Reports what a folder of recordings adds up to, as an observer: it has no rank, takes no placement, and nobody waits
/// for it. One thread.
class RecordingsShell {
 public:
  using Observer = std::function<void(const wire::Note&)>;

  /// Fails as RecordingsFolder::open(), and with kInvalidInput for an endpoint that cannot be read.
  [[nodiscard]] static Result<RecordingsShell> open(shell::SocketContext& context, RecordingsOptions options,
                                                    Observer observer);

  /// Waits at most `timeout` for a message, then does what is due. Fails as RecordingsFolder::look().
  [[nodiscard]] Status do_work(std::chrono::milliseconds timeout);
  void set_intervals(std::chrono::milliseconds report_interval, std::chrono::milliseconds contact_timeout);
  /// As AgentState::fenced().
  [[nodiscard]] bool is_fenced() const { return state_ && state_->fenced(); }
  /// Writes a last note.
  void stop();

 private:
  RecordingsShell(RecordingsOptions options, RecordingsFolder folder, Observer observer, shell::Socket dealer)
      : options_(std::move(options)),
        folder_(std::move(folder)),
        observer_(std::move(observer)),
        dealer_(std::move(dealer)) {}

  void join(TimePoint now);
  void take_messages();
  [[nodiscard]] wire::Losses losses() const;
  void perform(const Actions& actions);

  RecordingsOptions options_;
  RecordingsFolder folder_;
  Observer observer_;
  shell::Socket dealer_;
  /// From the first recording on, which tells the model's shape.
  std::optional<AgentState> state_;
  std::optional<TimePoint> looked_at_;
  std::uint64_t sent_ = 0;
  std::uint64_t messages_dropped_ = 0;
};

}  // namespace evenkeel::agent
