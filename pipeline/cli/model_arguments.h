#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <optional>
#include <string>

#include "partition/cost/step_time.h"
#include "partition/model/cluster.h"
#include "partition/model/model_spec.h"
#include "partition/model/objective.h"
#include "pipeline/trace/trace.h"

namespace evenkeel {

/// --model: adds the option, which reads the model while the command line is parsed. `model` must outlive `command`.
void add_model_option(CLI::App& command, std::optional<ModelSpec>& model);

/// The model that was recorded, and what the figures are measured with.
struct ModelArguments {
  /// Absent: what the trace tells, and the defaults of StepTimeModel.
  std::optional<ModelSpec> spec;
  /// Experts a token chooses, where neither the model nor token paths tell; settle_top_k() fills it in.
  std::optional<std::size_t> top_k;
  /// What settle_top_k() found, for when the result is good.
  std::string top_k_note;
  std::size_t batch_tokens = StepTimeModel{}.batch_tokens;
  /// Absent: dispatch, but for the weighted objective.
  std::optional<Comm> asked_comm;

  void add_to(CLI::App& command);
  /// Experts a token chooses, of a trace of loads alone: as given, as the recording says, or assumed with a note that
  /// tell_top_k() prints.
  /// Throws a CommandError where the loads, or token paths, contradict what was given.
  void settle_top_k(const Trace& trace);
  void tell_top_k() const;
  /// The step-time model of the model on this cluster.
  [[nodiscard]] StepTimeModel step_time(const Cluster& cluster) const;
  [[nodiscard]] Comm comm(Comm otherwise = Comm::kDispatch) const { return asked_comm.value_or(otherwise); }
};

}  // namespace evenkeel
