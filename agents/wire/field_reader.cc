#include "agents/wire/field_reader.h"

#include <fmt/format.h>

#include <span>

#include "agents/wire/limits.h"

namespace evenkeel::wire {
namespace {

std::span<const msgpack::object_kv> entries(const msgpack::object& map) { return {map.via.map.ptr, map.via.map.size}; }
std::span<const msgpack::object> items(const msgpack::object& array) {
  return {array.via.array.ptr, array.via.array.size};
}

bool is_named(const msgpack::object& key, std::string_view name) {
  return key.type == msgpack::type::STR && std::string_view(key.via.str.ptr, key.via.str.size) == name;
}

}  // namespace

FieldReader::FieldReader(const msgpack::object& map, std::string_view what) : what_(what) {
  if (map.type == msgpack::type::MAP) {
    map_ = &map;
  } else {
    fail("is not a map");
  }
}

void FieldReader::fail(std::string message) {
  if (!failure_) failure_ = fmt::format("{} {}", what_, message);
}

Status FieldReader::finish() const {
  if (failure_) return invalid_input(*failure_);
  if (taken_ != map_->via.map.size) {
    return invalid_input(fmt::format("{} has {} fields; it has exactly {}", what_, map_->via.map.size, taken_));
  }
  return {};
}

const msgpack::object* FieldReader::take(std::string_view name) {
  if (failure_) return nullptr;
  for (const msgpack::object_kv& entry : entries(*map_)) {
    if (is_named(entry.key, name)) {
      ++taken_;
      return &entry.val;
    }
  }
  fail(fmt::format("has no field {}", name));
  return nullptr;
}

std::uint64_t FieldReader::number_of(const msgpack::object& value, std::string_view name, std::uint64_t max) {
  if (value.type != msgpack::type::POSITIVE_INTEGER || value.via.u64 > max) {
    fail(fmt::format("field {} is not a whole number of 0 to {}", name, max));
    return 0;
  }
  return value.via.u64;
}

std::uint64_t FieldReader::number(std::string_view name, std::uint64_t max) {
  const msgpack::object* value = take(name);
  return value ? number_of(*value, name, max) : 0;
}

std::optional<std::uint64_t> FieldReader::optional_number(std::string_view name, std::uint64_t max) {
  const msgpack::object* value = take(name);
  if (!value || value->type == msgpack::type::NIL) return std::nullopt;
  return number_of(*value, name, max);
}

std::string FieldReader::text(std::string_view name, std::size_t bytes_max) {
  const msgpack::object* value = take(name);
  if (!value) return {};
  if (value->type != msgpack::type::STR || value->via.str.size > bytes_max) {
    fail(fmt::format("field {} is not a string of at most {} bytes", name, bytes_max));
    return {};
  }
  return {value->via.str.ptr, value->via.str.size};
}

bool FieldReader::is_row(const msgpack::object& value, std::string_view name, std::size_t count_max) {
  if (value.type == msgpack::type::ARRAY && value.via.array.size > 0 && value.via.array.size <= count_max) return true;
  fail(fmt::format("field {} is not an array of 1 to {} entries", name, count_max));
  return false;
}

std::vector<std::uint64_t> FieldReader::numbers(std::string_view name, std::size_t count_max, std::uint64_t value_max) {
  const msgpack::object* value = take(name);
  if (!value || !is_row(*value, name, count_max)) return {};
  std::vector<std::uint64_t> result;
  result.reserve(value->via.array.size);
  for (const msgpack::object& item : items(*value)) result.push_back(number_of(item, name, value_max));
  return result;
}

std::span<const msgpack::object> FieldReader::array(std::string_view name, std::size_t count_min,
                                                    std::size_t count_max) {
  const msgpack::object* value = take(name);
  if (!value) return {};
  if (value->type != msgpack::type::ARRAY || value->via.array.size < count_min || value->via.array.size > count_max) {
    fail(fmt::format("field {} is not an array of {} to {} entries", name, count_min, count_max));
    return {};
  }
  return items(*value);
}

Grid<std::uint64_t> FieldReader::table(std::string_view name, const TableMax& most, std::uint64_t value_max) {
  const auto rows = array(name, 1, most.rows);
  if (rows.empty() || !is_row(rows[0], name, most.cols)) return {};
  const std::size_t cols = rows[0].via.array.size;
  if (rows.size() * cols > most.cells) {
    fail(fmt::format("field {} has {} x {} cells; at most {} are taken", name, rows.size(), cols, most.cells));
    return {};
  }
  return cells_of(rows, name, cols, value_max);
}

Grid<std::uint64_t> FieldReader::rows(std::string_view name, std::size_t rows_max, std::size_t cols,
                                      std::uint64_t value_max) {
  return cells_of(array(name, 0, rows_max), name, cols, value_max);
}

Grid<std::uint64_t> FieldReader::cells_of(std::span<const msgpack::object> rows, std::string_view name,
                                          std::size_t cols, std::uint64_t value_max) {
  Grid<std::uint64_t> table(rows.size(), cols);
  for (std::size_t row = 0; row < table.rows(); ++row) {
    if (!is_row(rows[row], name, cols)) return {};
    const auto cells = items(rows[row]);
    if (cells.size() != cols) {
      fail(fmt::format("field {} has rows of {} and {} cells; rows are equally long", name, cols, cells.size()));
      return {};
    }
    for (std::size_t col = 0; col < cols; ++col) table(row, col) = number_of(cells[col], name, value_max);
  }
  return table;
}

const msgpack::object* FieldReader::object(std::string_view name) { return take(name); }

}  // namespace evenkeel::wire
