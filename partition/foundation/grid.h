#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "partition/foundation/check.h"

namespace evenkeel {

/// A dense table [rows, cols], row-major.
template <class T>
class Grid {
 public:
  Grid() = default;
  Grid(std::size_t rows, std::size_t cols, T value = T{}) : rows_(rows), cols_(cols), cells_(rows * cols, value) {}

  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::size_t cols() const { return cols_; }
  [[nodiscard]] bool empty() const { return cells_.empty(); }
  [[nodiscard]] T& operator()(std::size_t row, std::size_t col) { return cells_[row * cols_ + col]; }
  [[nodiscard]] const T& operator()(std::size_t row, std::size_t col) const { return cells_[row * cols_ + col]; }
  [[nodiscard]] std::span<T> operator[](std::size_t row) { return {cells_.data() + row * cols_, cols_}; }
  [[nodiscard]] std::span<const T> operator[](std::size_t row) const { return {cells_.data() + row * cols_, cols_}; }
  [[nodiscard]] std::span<T> cells() { return cells_; }
  [[nodiscard]] std::span<const T> cells() const { return cells_; }
  bool operator==(const Grid&) const = default;

 private:
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
  std::vector<T> cells_;
};

/// Adds cell by cell. Both have one shape, but an empty sum takes that of what is added.
template <class T>
void add(Grid<T>& sum, const Grid<T>& more) {
  if (sum.empty()) {
    sum = more;
    return;
  }
  EVENKEEL_CHECK(sum.rows() == more.rows() && sum.cols() == more.cols(), "tables of one shape are added");
  std::ranges::transform(sum.cells(), more.cells(), sum.cells().begin(), std::plus<>());
}

/// Takes off cell by cell what was added before.
template <class T>
void subtract(Grid<T>& sum, const Grid<T>& less) {
  EVENKEEL_CHECK(sum.rows() == less.rows() && sum.cols() == less.cols(), "tables of one shape are subtracted");
  std::ranges::transform(sum.cells(), less.cells(), sum.cells().begin(), std::minus<>());
}

/// Adds what `after` has beyond `before`, in one pass.
template <class T>
void add_growth(Grid<T>& sum, const Grid<T>& before, const Grid<T>& after) {
  EVENKEEL_CHECK(sum.rows() == after.rows() && sum.cols() == after.cols() && before.rows() == after.rows() &&
                     before.cols() == after.cols(),
                 "tables of one shape are added");
  for (std::size_t cell = 0; cell < sum.cells().size(); ++cell)
    sum.cells()[cell] += after.cells()[cell] - before.cells()[cell];
}

}  // namespace evenkeel
