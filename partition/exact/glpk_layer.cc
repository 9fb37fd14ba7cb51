#include "partition/exact/glpk_layer.h"

#include <algorithm>
#include <optional>

namespace evenkeel {
namespace {

double kept_by(const LayerProgram& program, std::span<const GpuIndex> gpu_of_item) {
  double kept = 0;
  for (std::size_t item = 0; item < gpu_of_item.size(); ++item) kept += program.affinity(item, gpu_of_item[item]);
  return kept;
}

/// Column item x gpus + gpu is 1 where the item is on the GPU.
class LayerModel {
 public:
  explicit LayerModel(const LayerProgram& program)
      : program_(program), items_(program.affinity.rows()), gpus_(program.affinity.cols()) {
    for (const double gain : program.affinity.cells()) model_.add_binary(gain);
    for (std::size_t item = 0; item < items_; ++item) {
      std::vector<Term> once;
      for (std::size_t gpu = 0; gpu < gpus_; ++gpu) once.push_back({column(item, gpu), 1.0});
      model_.add_equality(once, 1.0);
    }
    for (std::size_t gpu = 0; gpu < gpus_; ++gpu) add_gpu_rows(gpu);
    add_replica_rows();
  }

  [[nodiscard]] GlpkProgram::Outcome improve(const ExactLimit& limit) const {
    std::vector<double> incumbent(items_ * gpus_, 0.0);
    for (std::size_t item = 0; item < items_; ++item) incumbent[column(item, program_.incumbent[item])] = 1.0;
    return model_.improve(incumbent, limit);
  }

  /// The assignment that column values stand for, or nothing where rounding left it outside the rows.
  [[nodiscard]] std::optional<std::vector<GpuIndex>> assignment(std::span<const double> values) const {
    std::vector<GpuIndex> gpu_of_item(items_);
    std::vector<std::int64_t> load(gpus_, 0);
    std::vector<std::size_t> count(gpus_, 0);
    for (std::size_t item = 0; item < items_; ++item) {
      const auto row = values.subspan(item * gpus_, gpus_);
      const auto chosen = static_cast<std::size_t>(std::ranges::max_element(row) - row.begin());
      gpu_of_item[item] = static_cast<GpuIndex>(chosen);
      load[chosen] += program_.load_units[item];
      ++count[chosen];
    }
    const bool fits = std::ranges::all_of(load, [&](auto units) { return units <= program_.cap_units; }) &&
                      std::ranges::all_of(count, [&](auto items) { return items == program_.slots_per_gpu; });
    if (!fits) return std::nullopt;
    return gpu_of_item;
  }

 private:
  [[nodiscard]] std::size_t column(std::size_t item, std::size_t gpu) const { return item * gpus_ + gpu; }

  void add_gpu_rows(std::size_t gpu) {
    // Loads in units of the cap.
    const double scale = 1.0 / static_cast<double>(std::max<std::int64_t>(1, program_.cap_units));
    std::vector<Term> slots;
    std::vector<Term> load;
    for (std::size_t item = 0; item < items_; ++item) {
      slots.push_back({column(item, gpu), 1.0});
      const double units = static_cast<double>(program_.load_units[item]);
      if (units > 0) load.push_back({column(item, gpu), units * scale});
    }
    model_.add_equality(slots, static_cast<double>(program_.slots_per_gpu));
    model_.add_row(load, 0.0, 1.0);
  }

  void add_replica_rows() {
    for (std::size_t first = 0; first < items_;) {
      std::size_t last = first + 1;
      while (last < items_ && program_.expert_of_item[last] == program_.expert_of_item[first]) ++last;
      for (std::size_t gpu = 0; gpu < gpus_ && last - first > 1; ++gpu) {
        std::vector<Term> copies;
        for (std::size_t item = first; item < last; ++item) copies.push_back({column(item, gpu), 1.0});
        model_.add_row(copies, 0.0, 1.0);
      }
      first = last;
    }
  }

  const LayerProgram& program_;
  std::size_t items_;
  std::size_t gpus_;
  GlpkProgram model_;
};

}  // namespace

LayerSolution solve_layer(const LayerProgram& program, const ExactLimit& limit) {
  const LayerModel model(program);
  const GlpkProgram::Outcome outcome = model.improve(limit);
  LayerSolution result{{program.incumbent.begin(), program.incumbent.end()},
                       kept_by(program, program.incumbent),
                       outcome.bound,
                       outcome.is_closed()};
  if (!outcome.is_improved) return result;
  if (auto found = model.assignment(outcome.values); found && kept_by(program, *found) > result.kept) {
    result.kept = kept_by(program, *found);
    result.gpu_of_item = *std::move(found);
  }
  return result;
}

}  // namespace evenkeel
