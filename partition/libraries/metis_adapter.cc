#include "partition/libraries/metis_adapter.h"

#include <metis.h>

#include <limits>
#include <mutex>

#include "partition/foundation/check.h"

namespace evenkeel {
namespace {

template <class From>
std::vector<idx_t> to_idx(const std::vector<From>& values) {
  std::vector<idx_t> result;
  result.reserve(values.size());
  for (const From value : values) {
    EVENKEEL_CHECK(value <= static_cast<From>(std::numeric_limits<idx_t>::max()), "graph fits METIS's index type");
    result.push_back(static_cast<idx_t>(value));
  }
  return result;
}

/// On graphs about as small as their number of parts METIS's bisections run empty, which it reports on standard output.
constexpr std::size_t kVerticesPerPartMin = 4;

std::vector<std::uint32_t> in_turn(std::size_t vertices, std::size_t parts) {
  std::vector<std::uint32_t> part(vertices);
  for (std::size_t v = 0; v < vertices; ++v) part[v] = static_cast<std::uint32_t>(v % parts);
  return part;
}

}  // namespace

std::vector<std::uint32_t> metis_partition(const WeightedGraph& graph, std::size_t parts, double balance,
                                           std::uint64_t seed) {
  const std::size_t vertices = graph.vertices();
  if (vertices < kVerticesPerPartMin * parts || graph.target.empty()) return in_turn(vertices, parts);
  auto vertex_count = static_cast<idx_t>(vertices);
  auto constraints = static_cast<idx_t>(graph.constraints);
  auto part_count = static_cast<idx_t>(parts);
  auto row_start = to_idx(graph.row_start);
  auto target = to_idx(graph.target);
  auto edge_weight = to_idx(graph.edge_weight);
  auto vertex_weight = to_idx(graph.vertex_weight);
  std::vector<real_t> balances(graph.constraints, static_cast<real_t>(balance));
  std::vector<idx_t> part(vertices);
  idx_t options[METIS_NOPTIONS];
  METIS_SetDefaultOptions(options);
  options[METIS_OPTION_SEED] = static_cast<idx_t>(seed % static_cast<std::uint64_t>(std::numeric_limits<idx_t>::max()));
  idx_t cut = 0;
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  const int code =
      METIS_PartGraphKway(&vertex_count, &constraints, row_start.data(), target.data(), vertex_weight.data(), nullptr,
                          edge_weight.data(), &part_count, nullptr, balances.data(), options, &cut, part.data());
  EVENKEEL_CHECK(code == METIS_OK, "METIS takes every well-formed graph");
  return {part.begin(), part.end()};
}

}  // namespace evenkeel
