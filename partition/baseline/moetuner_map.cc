#include "partition/baseline/moetuner_map.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

namespace evenkeel {
namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();

/// Columns y[layer, cluster, gpu], then for each pair of layers k[gpu, c, d] and n[node, c, d].
class MapProgram {
 public:
  explicit MapProgram(const Instance& clusters) : instance_(clusters), gpus_(clusters.gpus) {
    program_.add_columns(IntegerProgram::Kind::kBinary, clusters.layers() * gpus_ * gpus_);
    double everything = 0;
    for (std::size_t layer = 0; layer < clusters.layers(); ++layer) {
      add_bijection_rows(layer);
      for (const Neighbour& other : clusters.neighbours[layer]) {
        if (other.layer <= layer) continue;
        const auto cells = other.traffic.cells();
        everything += std::accumulate(cells.begin(), cells.end(), 0.0) * (clusters.gpu_gain + clusters.node_gain);
        add_kept(layer, other);
      }
    }
    program_.set_constant(everything);
  }

  [[nodiscard]] const IntegerProgram& program() const { return program_; }

  /// Nothing where rounding left the solver's values outside the rows.
  [[nodiscard]] std::optional<Assignment> map(const std::vector<double>& values) const {
    Assignment gpu_of_cluster(instance_.layers(), gpus_);
    for (std::size_t layer = 0; layer < instance_.layers(); ++layer) {
      std::vector<bool> is_taken(gpus_, false);
      for (std::size_t cluster = 0; cluster < gpus_; ++cluster) {
        std::size_t gpu = 0;
        while (gpu < gpus_ && values[place(layer, cluster, gpu)] < 0.5) ++gpu;
        if (gpu == gpus_ || is_taken[gpu]) return std::nullopt;
        is_taken[gpu] = true;
        gpu_of_cluster(layer, cluster) = static_cast<GpuIndex>(gpu);
      }
    }
    return gpu_of_cluster;
  }

 private:
  /// Column of y.
  [[nodiscard]] std::size_t place(std::size_t layer, std::size_t cluster, std::size_t gpu) const {
    return (layer * gpus_ + cluster) * gpus_ + gpu;
  }

  void add_bijection_rows(std::size_t layer) {
    for (std::size_t a = 0; a < gpus_; ++a) {
      const std::size_t cluster_row = program_.add_row(1.0, 1.0);
      const std::size_t gpu_row = program_.add_row(1.0, 1.0);
      for (std::size_t b = 0; b < gpus_; ++b) {
        program_.add_entry(cluster_row, place(layer, a, b), 1.0);
        program_.add_entry(gpu_row, place(layer, b, a), 1.0);
      }
    }
  }

  /// What a pair of layers keeps on each GPU and node.
  void add_kept(std::size_t layer, const Neighbour& other) {
    for (std::size_t gpu = 0; gpu < gpus_; ++gpu) add_products(layer, other, instance_.gpu_gain, gpu, 1);
    if (instance_.nodes == 1) return;
    for (std::size_t node = 0; node < instance_.nodes; ++node)
      add_products(layer, other, instance_.node_gain, node * instance_.gpus_per_node(), instance_.gpus_per_node());
  }

  /// Products of the sums of y over `width` GPUs from `first` on, one for each pair of clusters.
  void add_products(std::size_t layer, const Neighbour& other, double gain, std::size_t first, std::size_t width) {
    const std::size_t products = program_.add_columns(IntegerProgram::Kind::kContinuous, gpus_ * gpus_);
    for (std::size_t c = 0; c < gpus_; ++c) {
      for (std::size_t d = 0; d < gpus_; ++d) {
        const std::size_t product = products + c * gpus_ + d;
        program_.set_cost(product, -gain * static_cast<double>(other.traffic(c, d)));
        if (width == 1) continue;  // the sums below say it already
        add_product_row(layer, c, first, width, {product, 1, 1});
        add_product_row(other.layer, d, first, width, {product, 1, 1});
      }
      add_product_row(layer, c, first, width, {products + c * gpus_, 1, gpus_});
      add_product_row(other.layer, c, first, width, {products + c, gpus_, gpus_});
    }
  }

  /// Columns first, first + step, ...
  struct Products {
    std::size_t first;
    std::size_t step;
    std::size_t count;
  };

  /// Their sum is at most the cluster's y over the GPUs, as often as a full row or column of products can count it.
  void add_product_row(std::size_t layer, std::size_t cluster, std::size_t first_gpu, std::size_t width,
                       const Products& products) {
    const std::size_t row = program_.add_row(-kUnbounded, 0.0);
    for (std::size_t i = 0; i < products.count; ++i) program_.add_entry(row, products.first + i * products.step, 1.0);
    const double times = products.count == 1 ? 1.0 : static_cast<double>(width);
    for (std::size_t gpu = first_gpu; gpu < first_gpu + width; ++gpu)
      program_.add_entry(row, place(layer, cluster, gpu), -times);
  }

  const Instance& instance_;
  std::size_t gpus_;
  IntegerProgram program_;
};

}  // namespace

MapSolution moetuner_map(const Instance& clusters, const ProgramLimit& limit) {
  const MapProgram map(clusters);
  const ProgramSolution solution = solve(map.program(), limit);
  MapSolution result;
  result.nodes = solution.nodes;
  if (solution.values.empty()) return result;
  result.gpu_of_cluster = map.map(solution.values);
  result.finished = solution.finished && result.gpu_of_cluster.has_value();
  return result;
}

double moetuner_map_columns(const Instance& instance) {
  std::size_t pairs = 0;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    pairs += static_cast<std::size_t>(
        std::ranges::count_if(instance.neighbours[layer], [&](const Neighbour& other) { return other.layer > layer; }));
  }
  const auto gpus = static_cast<double>(instance.gpus);
  const auto groups = gpus + (instance.nodes == 1 ? 0.0 : static_cast<double>(instance.nodes));
  return (static_cast<double>(instance.layers()) + static_cast<double>(pairs) * groups) * gpus * gpus;
}

}  // namespace evenkeel
