#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "partition/model/arrangement.h"

namespace evenkeel {

/// One layer of an arrangement, as LayerDescent wants it. The arrangement must outlive it.
class ArrangementLayer {
 public:
  ArrangementLayer(Arrangement& arrangement, std::size_t layer) : arrangement_(arrangement), layer_(layer) {}

  [[nodiscard]] std::size_t items() const { return arrangement_.instance().items(); }
  [[nodiscard]] std::size_t gpu_of(std::size_t item) const { return arrangement_.gpu_of(layer_, item); }
  [[nodiscard]] std::int64_t load_units(std::size_t item) const {
    return arrangement_.instance().load_units(layer_, item);
  }
  [[nodiscard]] std::span<const std::int64_t> gpu_load() const { return arrangement_.gpu_load(layer_); }
  [[nodiscard]] double swap_gain(std::size_t i, std::size_t j) const { return arrangement_.swap_gain(layer_, i, j); }
  [[nodiscard]] bool swap_duplicates(std::size_t i, std::size_t j) const {
    return arrangement_.swap_duplicates(layer_, i, j);
  }
  void swap(std::size_t i, std::size_t j) { arrangement_.swap(layer_, i, j); }

 private:
  Arrangement& arrangement_;
  std::size_t layer_;
};

}  // namespace evenkeel
