#include "rebalancer/solver/solve_job.h"

#include <fmt/format.h>

#include <exception>
#include <msgpack.hpp>
#include <utility>
#include <vector>

#include "agents/wire/codec.h"
#include "partition/place.h"

namespace evenkeel::rebalancer {
namespace {

struct PackedWindow {
  std::string stage;
  std::vector<std::uint64_t> load_tokens;
  MSGPACK_DEFINE(stage, load_tokens)
};

struct PackedJob {
  std::uint64_t gpus = 0;
  std::uint64_t nodes = 0;
  /// Bandwidth and latency in microseconds, inside and between nodes.
  std::vector<double> links;
  std::vector<double> speeds;
  std::vector<std::uint32_t> slots;
  std::vector<double> memory_gb;
  std::vector<int> layer_ids;
  std::uint64_t experts = 0;
  std::vector<PackedWindow> windows;
  std::uint64_t redundant = 0;
  /// Empty: none.
  std::string running;
  std::uint64_t moves_max = 0;
  double time_seconds = 0;
  std::uint64_t seed = 0;
  MSGPACK_DEFINE(gpus, nodes, links, speeds, slots, memory_gb, layer_ids, experts, windows, redundant, running,
                 moves_max, time_seconds, seed)
};

struct PackedAnswer {
  /// Empty: it failed.
  std::string placement;
  int error_code = 0;
  std::string message;
  double solve_seconds = 0;
  MSGPACK_DEFINE(placement, error_code, message, solve_seconds)
};

template <class Packed>
std::string pack(const Packed& packed) {
  msgpack::sbuffer buffer;
  msgpack::pack(buffer, packed);
  return {buffer.data(), buffer.size()};
}

template <class Packed>
Result<Packed> unpack(std::string_view bytes) {
  try {
    Packed packed;
    msgpack::unpack(bytes.data(), bytes.size()).get().convert(packed);
    return packed;
  } catch (const std::exception& error) {
    return failure(fmt::format("between rebalancer and solver: {}", error.what()));
  }
}

}  // namespace

std::string encode(const SolveJob& job) {
  const Cluster& cluster = job.cluster;
  PackedJob packed{.gpus = cluster.gpus,
                   .nodes = cluster.nodes,
                   .links = {cluster.intra_node.bandwidth_gb_per_s, cluster.intra_node.latency.count(),
                             cluster.inter_node.bandwidth_gb_per_s, cluster.inter_node.latency.count()},
                   .speeds = cluster.speeds,
                   .slots = cluster.slots,
                   .memory_gb = cluster.memory_gb,
                   .layer_ids = job.profile.shape.layer_ids,
                   .experts = job.profile.shape.experts,
                   .windows = {},
                   .redundant = job.redundant,
                   .running = job.running ? wire::encode_placement(*job.running) : "",
                   .moves_max = job.moves_max,
                   .time_seconds = job.time.count(),
                   .seed = job.seed};
  for (const LoadWindow& window : job.profile.windows) {
    const auto cells = window.load_tokens.cells();
    packed.windows.push_back({window.stage, {cells.begin(), cells.end()}});
  }
  return pack(packed);
}

std::string encode(const SolveAnswer& answer) {
  PackedAnswer packed;
  packed.solve_seconds = answer.solve_seconds;
  if (answer.placement) {
    packed.placement = wire::encode_placement(*answer.placement);
  } else {
    packed.error_code = static_cast<int>(answer.placement.error().code);
    packed.message = answer.placement.error().message;
  }
  return pack(packed);
}

Result<SolveJob> decode_job(std::string_view bytes) {
  EVENKEEL_TRY(packed, unpack<PackedJob>(bytes));
  if (packed.links.size() != 4) return failure("between rebalancer and solver: links are missing");
  using Micro = std::chrono::duration<double, std::micro>;
  SolveJob job{.cluster = {.gpus = packed.gpus,
                           .nodes = packed.nodes,
                           .intra_node = {packed.links[0], Micro(packed.links[1])},
                           .inter_node = {packed.links[2], Micro(packed.links[3])},
                           .speeds = packed.speeds,
                           .slots = packed.slots,
                           .memory_gb = packed.memory_gb},
               .profile = {.shape = {packed.layer_ids, packed.experts, std::nullopt}, .windows = {}, .paths = {}},
               .redundant = packed.redundant,
               .running = std::nullopt,
               .moves_max = packed.moves_max,
               .time = std::chrono::duration<double>(packed.time_seconds),
               .seed = packed.seed};
  for (PackedWindow& window : packed.windows) {
    Grid<std::uint64_t> load(packed.layer_ids.size(), packed.experts);
    if (window.load_tokens.size() != load.cells().size()) return failure("between rebalancer and solver: loads differ");
    std::ranges::copy(window.load_tokens, load.cells().begin());
    job.profile.windows.push_back({std::move(load), std::move(window.stage)});
  }
  if (!packed.running.empty()) {
    EVENKEEL_TRY(running, wire::decode_placement(packed.running));
    job.running = std::move(running);
  }
  return job;
}

Result<SolveAnswer> decode_answer(std::string_view bytes) {
  EVENKEEL_TRY(packed, unpack<PackedAnswer>(bytes));
  if (!packed.placement.empty()) return SolveAnswer{wire::decode_placement(packed.placement), packed.solve_seconds};
  const Error error{static_cast<ErrorCode>(packed.error_code), one_line(packed.message)};
  return SolveAnswer{tl::unexpected(error), packed.solve_seconds};
}

SolveAnswer solve(const SolveJob& job) {
  PlaceOptions options;
  options.problem.redundant = job.redundant;
  options.effort.time = job.time;
  options.effort.seed = job.seed;
  if (job.running) options.problem.replan = Replan{*job.running, job.moves_max};
  auto solution = place(job.profile, job.cluster, options);
  if (!solution) return {tl::unexpected(solution.error()), 0};
  return {std::move(solution->placement), solution->solve_seconds};
}

}  // namespace evenkeel::rebalancer
