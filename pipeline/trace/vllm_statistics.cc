#include "pipeline/trace/vllm_statistics.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <fstream>

#include "pipeline/trace/json_file.h"
#include "pipeline/trace/reading.h"

namespace evenkeel {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;

constexpr std::string_view kRecordType = "eplb_load_stats";
/// A record of 100 layers of 1,000 slots takes 1.5 MB.

std::string shown(const element& value) {
  if (value.is_array()) return fmt::format("a list of {}", value.get_array().size());
  if (value.is_object()) return "an object";
  return brief(nlohmann::json::parse(std::string(simdjson::minify(value))));
}

/// One line: loads and map, both [layers, slots].
struct Record {
  element expert_load;
  element p2l_map;
};

Result<element> field(simdjson::dom::object record, std::string_view name, const std::string& where) {
  std::optional<element> found;
  for (const auto& [key, value] : record) {
    if (key != name) continue;
    if (found) return invalid_input(fmt::format("{}: key {} is given twice; keep one of them", where, name));
    found = value;
  }
  if (!found) {
    return invalid_input(
        fmt::format("{}: key {} is missing; give lines with record_type, expert_load and p2l_map", where, name));
  }
  return *found;
}

Result<Record> parse_record(simdjson::dom::parser& parser, const std::string& line, const std::string& where) {
  element document;
  if (const auto error = parser.parse(line).get(document)) {
    if (const auto word = not_a_number(line); !word.empty())
      return invalid_input(fmt::format("{}: it holds {}, which is no number in JSON; give whole numbers", where, word));
    return invalid_input(
        fmt::format("{}: it is not valid JSON ({}); give one record a line", where, simdjson::error_message(error)));
  }
  simdjson::dom::object record;
  if (document.get(record)) {
    return invalid_input(fmt::format("{} is {}; give an object with record_type", where, shown(document)));
  }
  EVENKEEL_TRY(type, field(record, "record_type", where));
  std::string_view name;
  if (type.get(name) || name != kRecordType) {
    return invalid_input(fmt::format("{}: record_type is {}; give lines of \"{}\"", where, shown(type), kRecordType));
  }
  element version;
  std::int64_t number = 1;
  if (!record["version"].get(version) && (version.get(number) || number != 1)) {
    return invalid_input(fmt::format("{}: version is {}; only version 1 is known", where, shown(version)));
  }
  EVENKEEL_TRY(expert_load, field(record, "expert_load", where));
  EVENKEEL_TRY(p2l_map, field(record, "p2l_map", where));
  return Record{expert_load, p2l_map};
}

/// Number of an expert, empty for -1: a slot that is not used.
Result<std::optional<std::size_t>> parse_expert(const element& value, std::size_t slots, const std::string& where) {
  std::int64_t id = 0;
  if (value.get(id) || id < -1 || id >= static_cast<std::int64_t>(slots)) {
    return invalid_input(fmt::format("{} is {}; give an expert from 0 to {}, as each has a slot, or -1 for none", where,
                                     shown(value), slots - 1));
  }
  if (id == -1) return std::optional<std::size_t>();
  return static_cast<std::size_t>(id);
}

Result<array> parse_list(const element& value, std::size_t size_max, const std::string& where) {
  array list;
  if (value.get(list) || list.size() == 0 || list.size() > size_max) {
    return invalid_input(fmt::format("{} is {}; give a list of 1 to {}", where, shown(value), size_max));
  }
  return list;
}

class StatisticsReader {
 public:
  StatisticsReader(std::string path, const ReadOptions& options, RecordingSink& sink)
      : path_(std::move(path)), options_(options), sink_(sink) {}

  Status read(const Record& record, const std::string& where) {
    EVENKEEL_TRY(map, parse_map(record.p2l_map, fmt::format("{}: p2l_map", where)));
    if (!has_begun_) {
      EVENKEEL_TRY_STATUS(begin(map));
    } else if (map.slots_of_row.size() != layers_.layer_of_row.size() || map.experts != experts_) {
      return invalid_input(
          fmt::format("{} has {} layers of {} experts but the first record {} of {}; give recordings of one model",
                      where, map.slots_of_row.size(), map.experts, layers_.layer_of_row.size(), experts_));
    }
    EVENKEEL_TRY(loads, parse_loads(record.expert_load, map, fmt::format("{}: expert_load", where)));
    return sink_.loads({.load_tokens = std::move(loads)});
  }

  [[nodiscard]] bool has_begun() const { return has_begun_; }

 private:
  struct SlotMap {
    /// The expert in each slot of each row.
    std::vector<std::vector<std::optional<std::size_t>>> slots_of_row;
    /// Largest expert + 1.
    std::size_t experts = 0;
  };

  static Result<SlotMap> parse_map(const element& rows, const std::string& where) {
    EVENKEEL_TRY(list, parse_list(rows, kLayersMax, where));
    SlotMap map;
    for (const element row : list) {
      const std::string row_where = fmt::format("{}[{}]", where, map.slots_of_row.size());
      EVENKEEL_TRY(slots, parse_list(row, kExpertsMax, row_where));
      auto& experts = map.slots_of_row.emplace_back();
      for (const element slot : slots) {
        EVENKEEL_TRY(expert, parse_expert(slot, slots.size(), fmt::format("{}[{}]", row_where, experts.size())));
        experts.push_back(expert);
        if (expert) map.experts = std::max(map.experts, *expert + 1);
      }
    }
    return map;
  }

  Status begin(const SlotMap& map) {
    EVENKEEL_TRY_STATUS(check_experts(path_, map.experts, options_));
    EVENKEEL_TRY(layers, number_rows(map.slots_of_row.size(), options_, path_));
    layers_ = std::move(layers);
    experts_ = map.experts;
    has_begun_ = true;
    RecordingHeader header;
    header.layer_ids = header.moe_layer_ids = layers_.layer_ids;
    header.experts = experts_;
    header.has_loads = true;
    return sink_.begin(path_, header);
  }

  Result<Grid<std::uint64_t>> parse_loads(const element& rows, const SlotMap& map, const std::string& where) const {
    EVENKEEL_TRY(list, parse_list(rows, kLayersMax, where));
    if (list.size() != map.slots_of_row.size()) {
      return invalid_input(fmt::format("{} has {} layers but p2l_map has {}; give them one shape", where, list.size(),
                                       map.slots_of_row.size()));
    }
    Grid<std::uint64_t> loads(layers_.layer_ids.size(), experts_);
    std::size_t row = 0;
    for (const element row_loads : list) {
      const std::string row_where = fmt::format("{}[{}]", where, row);
      if (const auto layer = layers_.layer_of_row[row]) {
        EVENKEEL_TRY_STATUS(add_row(row_loads, map.slots_of_row[row], row_where, loads[*layer]));
      }
      ++row;
    }
    return loads;
  }

  static Status add_row(const element& row, std::span<const std::optional<std::size_t>> experts,
                        const std::string& where, std::span<std::uint64_t> loads) {
    EVENKEEL_TRY(slots, parse_list(row, kExpertsMax, where));
    if (slots.size() != experts.size()) {
      return invalid_input(fmt::format("{} has {} slots but its row of p2l_map has {}; give them one shape", where,
                                       slots.size(), experts.size()));
    }
    std::size_t slot = 0;
    for (const element value : slots) {
      double number = 0;
      const bool is_number = value.get(number) == simdjson::SUCCESS;
      const auto count = is_number ? whole_count(number) : std::nullopt;
      const auto expert = experts[slot];
      if (!count || (!expert && *count > 0)) {
        return invalid_input(fmt::format("{}[{}] is {}; give a whole number of tokens, 0 or above{}", where, slot,
                                         shown(value), expert ? "" : ", and 0 for a slot without an expert"));
      }
      if (expert && (loads[*expert] += *count) > kCountMax) {
        return invalid_input(
            fmt::format("{}: expert {} has above {} tokens; give shorter windows", where, *expert, kCountMax));
      }
      ++slot;
    }
    return {};
  }

  std::string path_;
  const ReadOptions& options_;
  RecordingSink& sink_;
  bool has_begun_ = false;
  RowLayers layers_;
  std::size_t experts_ = 0;
};

}  // namespace

Status read_vllm_statistics(const std::filesystem::path& file, const ReadOptions& options, RecordingSink& sink) {
  const std::string path = file.string();
  EVENKEEL_TRY_STATUS(check_regular_file(file));
  std::ifstream in(file, std::ios::binary);
  in.seekg(0, std::ios::end);
  const auto bytes = static_cast<std::uint64_t>(in.tellg());
  in.seekg(0);
  StatisticsReader reader(path, options, sink);
  simdjson::dom::parser parser;
  std::string line;
  std::uint64_t bytes_read = 0;
  for (std::size_t number = 1;; ++number) {
    const std::string where = fmt::format("{}: line {}", path, number);
    EVENKEEL_TRY(is_line, read_line(in, where, line));
    if (!is_line) break;
    bytes_read += line.size() + 1;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    EVENKEEL_TRY(record, parse_record(parser, line, where));
    EVENKEEL_TRY_STATUS(reader.read(record, where));
    report_progress(options, std::min(bytes_read, bytes), bytes);
  }
  if (!reader.has_begun()) {
    return invalid_input(fmt::format("{}: it holds no record; give lines of record_type \"{}\"", path, kRecordType));
  }
  return sink.end();
}

}  // namespace evenkeel
