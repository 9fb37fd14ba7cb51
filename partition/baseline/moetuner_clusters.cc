#include "partition/baseline/moetuner_clusters.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

namespace evenkeel {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Columns x[item, cluster], then d[cluster].
class ClusterProgram {
 public:
  ClusterProgram(const Instance& instance, std::size_t layer) : instance_(instance), layer_(layer) {
    program_.add_columns(IntegerProgram::Kind::kBinary, instance.items() * instance.gpus);
    first_deviation_ = program_.add_columns(IntegerProgram::Kind::kContinuous, instance.gpus, 1.0);
    add_item_rows();
    add_slot_rows();
    add_deviation_rows();
    if (instance.has_replicas()) add_replica_rows();
  }

  [[nodiscard]] const IntegerProgram& program() const { return program_; }

  /// Nothing where rounding left the solver's values outside the rows.
  [[nodiscard]] std::optional<std::vector<GpuIndex>> clusters(const std::vector<double>& values) const {
    std::vector<GpuIndex> cluster_of_item(instance_.items());
    std::vector<std::size_t> count(instance_.gpus, 0);
    for (std::size_t item = 0; item < instance_.items(); ++item) {
      const auto first = values.begin() + static_cast<std::ptrdiff_t>(column(item, 0));
      const auto chosen = std::max_element(first, first + static_cast<std::ptrdiff_t>(instance_.gpus)) - first;
      cluster_of_item[item] = static_cast<GpuIndex>(chosen);
      ++count[static_cast<std::size_t>(chosen)];
    }
    if (std::ranges::any_of(count, [&](std::size_t items) { return items != instance_.slots_per_gpu(); })) return {};
    return cluster_of_item;
  }

 private:
  [[nodiscard]] std::size_t column(std::size_t item, std::size_t cluster) const {
    return item * instance_.gpus + cluster;
  }

  void add_item_rows() {
    for (std::size_t item = 0; item < instance_.items(); ++item) {
      const std::size_t row = program_.add_row(1.0, 1.0);
      for (std::size_t cluster = 0; cluster < instance_.gpus; ++cluster)
        program_.add_entry(row, column(item, cluster), 1.0);
    }
  }

  void add_slot_rows() {
    const auto slots = static_cast<double>(instance_.slots_per_gpu());
    for (std::size_t cluster = 0; cluster < instance_.gpus; ++cluster) {
      const std::size_t row = program_.add_row(slots, slots);
      for (std::size_t item = 0; item < instance_.items(); ++item) program_.add_entry(row, column(item, cluster), 1.0);
    }
  }

  /// In mean cluster loads, which keeps the matrix well scaled.
  void add_deviation_rows() {
    const auto loads = instance_.load_units[layer_];
    const auto total = static_cast<double>(std::accumulate(loads.begin(), loads.end(), std::int64_t{0}));
    if (total <= 0) return;
    const double mean = total / static_cast<double>(instance_.gpus);
    for (std::size_t cluster = 0; cluster < instance_.gpus; ++cluster) {
      const std::size_t above = program_.add_row(-kInfinity, 1.0);
      const std::size_t below = program_.add_row(1.0, kInfinity);
      program_.add_entry(above, first_deviation_ + cluster, -1.0);
      program_.add_entry(below, first_deviation_ + cluster, 1.0);
      for (std::size_t item = 0; item < instance_.items(); ++item) {
        if (loads[item] == 0) continue;
        program_.add_entry(above, column(item, cluster), static_cast<double>(loads[item]) / mean);
        program_.add_entry(below, column(item, cluster), static_cast<double>(loads[item]) / mean);
      }
    }
  }

  void add_replica_rows() {
    const auto experts = instance_.expert_of_item[layer_];
    for (std::size_t first = 0; first < experts.size();) {
      std::size_t last = first + 1;
      while (last < experts.size() && experts[last] == experts[first]) ++last;
      for (std::size_t cluster = 0; cluster < instance_.gpus && last - first > 1; ++cluster) {
        const std::size_t row = program_.add_row(-kInfinity, 1.0);
        for (std::size_t item = first; item < last; ++item) program_.add_entry(row, column(item, cluster), 1.0);
      }
      first = last;
    }
  }

  const Instance& instance_;
  std::size_t layer_;
  IntegerProgram program_;
  std::size_t first_deviation_ = 0;
};

}  // namespace

LayerClusters moetuner_clusters(const Instance& instance, std::size_t layer, const ProgramLimit& limit) {
  const ClusterProgram clusters(instance, layer);
  const ProgramSolution solution = solve(clusters.program(), limit);
  LayerClusters result;
  result.nodes = solution.nodes;
  if (solution.values.empty()) return result;
  if (auto found = clusters.clusters(solution.values)) {
    result.cluster_of_item = *std::move(found);
    result.finished = solution.finished;
  }
  return result;
}

}  // namespace evenkeel
