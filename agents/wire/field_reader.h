#pragma once

#include <cstdint>
#include <msgpack.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agents/wire/limits.h"
#include "partition/foundation/grid.h"
#include "partition/foundation/result.h"

namespace evenkeel::wire {

/// Takes the fields of one msgpack map, each by name with its type and limit, and remembers the first thing wrong:
/// after that every read gives an empty value, so that a decoder is a list of fields. finish() tells. Internal to the
/// codec.
class FieldReader {
 public:
  /// `what` names the map in messages.
  FieldReader(const msgpack::object& map, std::string_view what);

  [[nodiscard]] std::uint64_t number(std::string_view name, std::uint64_t max);
  /// As number(), or nothing where the field is nil.
  [[nodiscard]] std::optional<std::uint64_t> optional_number(std::string_view name, std::uint64_t max);
  [[nodiscard]] std::string text(std::string_view name, std::size_t bytes_max);
  [[nodiscard]] std::vector<std::uint64_t> numbers(std::string_view name, std::size_t count_max,
                                                   std::uint64_t value_max);
  /// Entries of an array, between two numbers of them.
  [[nodiscard]] std::span<const msgpack::object> array(std::string_view name, std::size_t count_min,
                                                       std::size_t count_max);
  struct TableMax {
    std::size_t rows = kLayersMax;
    std::size_t cols = 1;
    std::size_t cells = kCellsMax;
  };
  /// Rows of equal length; at least one cell.
  [[nodiscard]] Grid<std::uint64_t> table(std::string_view name, const TableMax& most, std::uint64_t value_max);
  /// Any number of rows, each of exactly `cols` cells; none is a table of no rows.
  [[nodiscard]] Grid<std::uint64_t> rows(std::string_view name, std::size_t rows_max, std::size_t cols,
                                         std::uint64_t value_max);
  /// A map within the map.
  [[nodiscard]] const msgpack::object* object(std::string_view name);

  void fail(std::string message);
  /// The first failure, or one about fields that nobody took.
  [[nodiscard]] Status finish() const;

 private:
  [[nodiscard]] const msgpack::object* take(std::string_view name);
  [[nodiscard]] std::uint64_t number_of(const msgpack::object& value, std::string_view name, std::uint64_t max);
  [[nodiscard]] Grid<std::uint64_t> cells_of(std::span<const msgpack::object> rows, std::string_view name,
                                             std::size_t cols, std::uint64_t value_max);
  [[nodiscard]] bool is_row(const msgpack::object& value, std::string_view name, std::size_t count_max);

  std::string what_;
  const msgpack::object* map_ = nullptr;
  std::size_t taken_ = 0;
  std::optional<std::string> failure_;
};

}  // namespace evenkeel::wire
