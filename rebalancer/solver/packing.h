#pragma once

#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <msgpack.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "agents/wire/codec.h"
#include "partition/foundation/check.h"
#include "partition/foundation/grid.h"
#include "rebalancer/solver/request_fields.h"

/// msgpack for the pipe between a rebalancer and its child of the same build, on one machine: a struct is an array of
/// its fields(), a list of numbers their bytes as they are in memory. Only solve_job.cc includes this.
namespace evenkeel::rebalancer {

/// Bytes of one list of numbers. The readers of recordings take as much of token paths, the longest of them.
inline constexpr std::size_t kListBytesMax = std::size_t{2} << 30;
/// Windows of a profile, as in the readers of recordings.
inline constexpr std::size_t kWindowsMax = std::size_t{1} << 22;
/// Request, options, problem, objective, weights: and a few to spare.
inline constexpr std::size_t kDepthMax = 8;

class PackWriter {
 public:
  template <class T>
  void put(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      packer_.pack(static_cast<std::uint64_t>(value));
    } else if constexpr (std::is_arithmetic_v<T>) {
      packer_.pack(value);
    } else {
      put_fields(fields(value));
    }
  }
  template <class Number, class Unit>
  void put(const std::chrono::duration<Number, Unit>& duration) {
    put(duration.count());
  }
  template <class T>
  void put(const std::optional<T>& value) {
    value ? put(*value) : static_cast<void>(packer_.pack_nil());
  }
  template <class T>
  void put(const std::vector<T>& list) {
    if constexpr (std::is_arithmetic_v<T>) {
      put_bytes(list.data(), list.size() * sizeof(T));
    } else {
      packer_.pack_array(static_cast<std::uint32_t>(list.size()));
      for (const T& item : list) put(item);
    }
  }
  template <class T>
  void put(const Grid<T>& grid) {
    packer_.pack_array(3);
    put(grid.rows());
    put(grid.cols());
    put_bytes(grid.cells().data(), grid.cells().size_bytes());
  }
  void put(const Placement& placement) { put(wire::encode_placement(placement)); }
  void put(const std::string& text) { put_bytes(text.data(), text.size()); }

  [[nodiscard]] std::string take() const { return {buffer_.data(), buffer_.size()}; }

 private:
  template <class... Fields>
  void put_fields(const std::tuple<Fields&...>& all) {
    packer_.pack_array(sizeof...(Fields));
    std::apply([this](const auto&... field) { (this->put(field), ...); }, all);
  }
  void put_bytes(const void* data, std::size_t bytes) {
    EVENKEEL_CHECK(bytes <= kListBytesMax, "readers of recordings take no more");
    packer_.pack_bin(static_cast<std::uint32_t>(bytes));
    packer_.pack_bin_body(static_cast<const char*>(data), static_cast<std::uint32_t>(bytes));
  }

  msgpack::sbuffer buffer_;
  msgpack::packer<msgpack::sbuffer> packer_{buffer_};
};

/// Reads what PackWriter writes; throws msgpack::type_error for anything else.
class PackReader {
 public:
  template <class T>
  static void get(const msgpack::object& from, T& value) {
    if constexpr (std::is_enum_v<T>) {
      const auto number = from.as<std::uint64_t>();
      if (number > static_cast<std::uint64_t>(kLast<T>)) throw msgpack::type_error();
      value = static_cast<T>(number);
    } else if constexpr (std::is_arithmetic_v<T>) {
      value = from.as<T>();
    } else {
      get_fields(from, fields(value));
    }
  }
  template <class Number, class Unit>
  static void get(const msgpack::object& from, std::chrono::duration<Number, Unit>& duration) {
    duration = std::chrono::duration<Number, Unit>(from.as<Number>());
  }
  template <class T>
  static void get(const msgpack::object& from, std::optional<T>& value) {
    if (from.is_nil()) return value.reset();
    get(from, value.emplace());
  }
  static void get(const msgpack::object& from, std::optional<Replan>& replan) {
    if (from.is_nil()) return replan.reset();
    const auto items = array(from, 2);
    std::string running;
    get(items.ptr[0], running);
    auto placement = wire::decode_placement(running);
    if (!placement) throw msgpack::type_error();
    get(items.ptr[1], replan.emplace(Replan{std::move(*placement), std::nullopt}).moves_max);
  }
  template <class T>
  static void get(const msgpack::object& from, std::vector<T>& list) {
    if constexpr (std::is_arithmetic_v<T>) {
      const std::string_view bytes = bytes_of(from);
      if (bytes.size() % sizeof(T) != 0) throw msgpack::type_error();
      list.resize(bytes.size() / sizeof(T));
      if (!bytes.empty()) std::memcpy(list.data(), bytes.data(), bytes.size());
    } else {
      if (from.type != msgpack::type::ARRAY) throw msgpack::type_error();
      list.clear();
      for (const msgpack::object& item : from.via.array) get(item, list.emplace_back());
    }
  }
  template <class T>
  static void get(const msgpack::object& from, Grid<T>& grid) {
    const auto items = array(from, 3);
    const std::string_view bytes = bytes_of(items.ptr[2]);
    // Numbers of 32 bits: their product does not overflow.
    const std::uint64_t rows = items.ptr[0].as<std::uint32_t>();
    const std::uint64_t cols = items.ptr[1].as<std::uint32_t>();
    if (rows * cols != bytes.size() / sizeof(T) || bytes.size() % sizeof(T) != 0) throw msgpack::type_error();
    grid = Grid<T>(rows, cols);
    if (!bytes.empty()) std::memcpy(grid.cells().data(), bytes.data(), bytes.size());
  }
  static void get(const msgpack::object& from, std::string& text) { text = bytes_of(from); }

 private:
  static msgpack::object_array array(const msgpack::object& from, std::size_t size) {
    if (from.type != msgpack::type::ARRAY || from.via.array.size != size) throw msgpack::type_error();
    return from.via.array;
  }
  static std::string_view bytes_of(const msgpack::object& from) {
    if (from.type != msgpack::type::BIN) throw msgpack::type_error();
    return {from.via.bin.ptr, from.via.bin.size};
  }
  template <class... Fields>
  static void get_fields(const msgpack::object& from, const std::tuple<Fields&...>& all) {
    const msgpack::object* item = array(from, sizeof...(Fields)).ptr;
    std::apply([&](auto&... field) { (get(*item++, field), ...); }, all);
  }
};

}  // namespace evenkeel::rebalancer
