#pragma once

#include <cstddef>
#include <span>
#include <vector>

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

}  // namespace evenkeel
