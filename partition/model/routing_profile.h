#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "partition/foundation/grid.h"
#include "partition/foundation/id.h"
#include "partition/model/stage_load.h"

namespace evenkeel {

/// What stays fixed about a model: its MoE layers and their experts.
struct ModelShape {
  /// Absolute number of each MoE layer in the model, one a row of every table, ascending.
  std::vector<int> layer_ids;
  std::size_t experts = 0;
  /// All hidden layers, dense ones included, where the input tells; engines that want a row a hidden layer need it.
  std::optional<std::size_t> hidden_layers;

  [[nodiscard]] std::size_t layers() const { return layer_ids.size(); }
  bool operator==(const ModelShape&) const = default;
};

/// The experts each of a bounded sample of tokens took through all rounds, grouped by sequence. Empty where the input
/// has loads only.
struct TokenPaths {
  /// Also of loads alone, where it is known; else 0.
  std::size_t top_k = 0;
  /// Row of the placement each round belongs to [rounds]; models with several rounds over one layer repeat a row.
  std::vector<std::uint32_t> layer_of_round;
  /// Chosen experts, highest weight first [tokens, rounds, top_k]; kNoExpert where a choice is empty.
  std::vector<ExpertIndex> experts;
  /// First token of each sequence, then the number of tokens [sequences + 1]; empty without paths.
  std::vector<std::uint64_t> sequence_start;

  [[nodiscard]] bool empty() const { return experts.empty(); }
  [[nodiscard]] std::size_t rounds() const { return layer_of_round.size(); }
  [[nodiscard]] std::size_t tokens() const { return experts.empty() ? 0 : experts.size() / (rounds() * top_k); }
  [[nodiscard]] std::size_t sequences() const { return sequence_start.empty() ? 0 : sequence_start.size() - 1; }
  [[nodiscard]] std::span<const ExpertIndex> chosen(std::size_t token, std::size_t round) const {
    return {experts.data() + (token * rounds() + round) * top_k, top_k};
  }
  bool operator==(const TokenPaths&) const = default;
};

/// What a trace or a stream of counts adds up to: exact loads a window, and token paths from which transitions,
/// co-activations and fan-out derive.
struct RoutingProfile {
  ModelShape shape;
  /// One stage of one window each.
  std::vector<StageLoad> windows;
  TokenPaths paths;

  /// Loads of all windows together [layers, experts].
  [[nodiscard]] Grid<std::uint64_t> total_load() const;
  bool operator==(const RoutingProfile&) const = default;
};

/// Traffic from one round to the next: cell (e, e') holds the tokens that went from expert e to e', a token counting
/// once: each of its k x k' pairs weighs 1 / (k k') (DESIGN: ExFlow, MoETuner).
struct TransitionTable {
  LayerId from;
  LayerId to;
  Grid<double> tokens;
  /// Tokens with a real expert in both rounds: the sum of all cells.
  double total_tokens = 0;
};

/// One table for each pair of neighbouring rounds; none without token paths. Equal profiles give equal tables, on any
/// number of threads. Cost: tokens x rounds x k^2 time, rounds x experts^2 memory.
[[nodiscard]] std::vector<TransitionTable> transitions(const RoutingProfile& profile, std::size_t threads = 1);

}  // namespace evenkeel
