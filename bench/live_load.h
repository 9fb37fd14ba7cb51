#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "agents/wire/frame.h"
#include "agents/wire/message.h"

/// Messages of agents that were never there, for the benchmarks of the service.
namespace evenkeel::bench {

struct LoadShape {
  std::size_t layers;
  std::size_t experts;
  std::size_t stages = 1;
};

inline wire::Hello hello_of(std::uint32_t rank, std::uint32_t world, const LoadShape& shape) {
  wire::Hello hello;
  hello.incarnation = 1;
  hello.rank = rank;
  hello.world = world;
  for (std::size_t layer = 0; layer < shape.layers; ++layer) hello.layer_ids.push_back(static_cast<int>(layer));
  hello.experts = shape.experts;
  hello.model_hash = wire::model_hash(hello.layer_ids, hello.experts);
  return hello;
}

/// Counts as they are after `sequence` seconds of some 20,000 tokens each with 8 experts a token: three bytes to five a
/// number on the wire, which differ from expert to expert.
inline wire::Report report_of(std::uint32_t rank, std::uint64_t sequence, const LoadShape& shape) {
  constexpr std::uint64_t kTokensASecond = 20'000;
  wire::Report report;
  report.incarnation = 1;
  report.sequence = sequence;
  report.steps = sequence * 20;
  for (std::size_t stage = 0; stage < shape.stages; ++stage) {
    StageLoad counts;
    counts.stage = static_cast<Stage>(stage);
    counts.tokens = sequence * kTokensASecond;
    counts.load_tokens = Grid<std::uint64_t>(shape.layers, shape.experts);
    const std::uint64_t mean = 8 * kTokensASecond / shape.experts;
    for (std::size_t cell = 0; cell < counts.load_tokens.cells().size(); ++cell) {
      counts.load_tokens.cells()[cell] = sequence * (mean / 2 + (cell * 2'654'435'761U + rank) % mean);
    }
    report.stages.push_back(std::move(counts));
  }
  return report;
}

inline std::string agent_name(std::uint32_t rank) { return "agent-" + std::to_string(rank); }

inline wire::Frames sealed(std::uint32_t rank, std::uint64_t sequence, wire::Message message) {
  return wire::seal({agent_name(rank), "model", sequence, std::move(message)});
}

}  // namespace evenkeel::bench
