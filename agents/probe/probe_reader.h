#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agents/probe/banks.h"
#include "agents/probe/layout.h"
#include "agents/probe/mail.h"
#include "agents/probe/segment.h"
#include "agents/wire/message.h"
#include "partition/foundation/result.h"
#include "partition/model/routing_profile.h"

namespace evenkeel::probe {

/// All that a worker had published at one moment.
struct Tally {
  /// Rises with each publication of the incarnation.
  std::uint64_t number = 0;
  std::uint64_t steps = 0;
  /// Windows completed.
  std::uint64_t window = 0;
  /// Calls with a layer that the model does not have.
  std::uint64_t refused_calls = 0;
  /// Sampled paths that found no room.
  std::uint64_t paths_dropped = 0;
  /// Stages that had tokens; one without any where none had.
  std::vector<StageLoad> stages;
};

/// What the worker does with epochs.
struct WorkerEpochs {
  /// The last that it has loaded.
  std::optional<std::uint64_t> ready;
  struct Running {
    std::uint64_t epoch = 0;
    std::uint64_t step = 0;
    std::uint64_t digest = 0;
    bool operator==(const Running&) const = default;
  };
  std::optional<Running> running;
};

/// The agent's side of a probe: one agent at a time, which may take over from a dead one. Reads never disturb the
/// worker. Not thread-safe.
class ProbeReader {
 public:
  /// Fails with kInvalidInput where there is no such segment, it is not a probe of this version, or another agent has
  /// it.
  [[nodiscard]] static Result<ProbeReader> attach(const std::string& name);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string model() const { return header_->model.data(); }
  [[nodiscard]] std::string worker() const { return header_->worker.data(); }
  [[nodiscard]] std::uint32_t rank() const { return header_->rank; }
  [[nodiscard]] std::uint32_t world() const { return header_->world; }
  [[nodiscard]] std::uint64_t incarnation() const { return header_->incarnation; }
  [[nodiscard]] ModelShape shape() const;

  /// Whether the worker's process lives.
  [[nodiscard]] bool is_alive() const { return segment_.is_taken(Segment::kOwner); }
  /// Frees what a dead worker has left, once this reader is gone too.
  void remove_if_dead() const { segment_.remove_if_dead(Segment::Kind::kProbe, name_); }
  /// A replay has played everything.
  [[nodiscard]] bool is_finished() const { return header_->finished.load(std::memory_order_acquire) != 0; }

  /// Windows completed in the last publication. Cost: five loads.
  [[nodiscard]] std::uint64_t windows();
  /// None where the worker publishes quicker than it can be read: try again.
  [[nodiscard]] std::optional<Tally> read();
  [[nodiscard]] WorkerEpochs epochs() const;
  /// The batches of sampled paths that are new, as messages without sequence, those of one stage together; asks for
  /// what has been sampled since.
  [[nodiscard]] std::vector<wire::Paths> take_paths();
  /// Batches that were overwritten before they were taken.
  [[nodiscard]] std::uint64_t batches_lost() const { return batches_lost_; }

  [[nodiscard]] Outbox& outbox() { return outbox_; }
  /// What agents of this probe remember across their own restarts, and word to a replay's worker.
  [[nodiscard]] Header& header() { return *header_; }

 private:
  ProbeReader(std::string name, Segment segment);
  void take_batch(std::uint64_t number, std::vector<wire::Paths>& paths);
  /// The paths of some tokens of a batch, whose cells are [layers, batch_tokens, top_k]: [tokens, layers x top_k].
  [[nodiscard]] Grid<ExpertIndex> experts_of(const std::uint16_t* cells, std::span<const std::size_t> tokens) const;
  [[nodiscard]] std::size_t batch_row() const { return std::size_t{geometry_.batch_tokens} * geometry_.top_k; }

  std::string name_;
  Segment segment_;
  Header* header_;
  Geometry geometry_;
  Layout layout_;
  Banks counts_;
  Outbox outbox_;
  std::uint64_t batches_lost_ = 0;
};

}  // namespace evenkeel::probe
