#include "pipeline/trace/layer_lines.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <utility>
#include <vector>

#include "pipeline/trace/json_file.h"
#include "pipeline/trace/reading.h"

namespace evenkeel {
namespace {

using nlohmann::json;

/// Gathers the lines of a window and hands finished windows to the sink.
class LayerWindows {
 public:
  LayerWindows(std::string path, const ReadOptions& options, RecordingSink& sink)
      : path_(std::move(path)), options_(options), sink_(sink) {}

  Status add(const json& line, const std::string& where) {
    EVENKEEL_TRY(layer, layer_of(line, where));
    if (counts_of_layer_.contains(layer)) EVENKEEL_TRY_STATUS(end_window(where));
    EVENKEEL_TRY(counts, counts_of(line, where));
    counts_of_layer_.emplace(layer, std::move(counts));
    if (counts_of_layer_.size() <= kLayersMax) return {};
    return invalid_input(fmt::format("{}: at most {} layers are accepted", where, kLayersMax));
  }

  Status finish() {
    if (counts_of_layer_.empty()) return invalid_input(fmt::format("{}: it holds no line; record some traffic", path_));
    EVENKEEL_TRY_STATUS(end_window(path_));
    return sink_.end();
  }

 private:
  static Result<int> layer_of(const json& line, const std::string& where) {
    if (!line.is_object() || !line.contains("layer")) {
      return invalid_input(
          fmt::format("{} is {} without a key layer; give lines such as {{\"layer\": 3, \"counts\": "
                      "[12, 0]}}",
                      where, brief(line)));
    }
    const json& layer = line.at("layer");
    if (layer.is_number_integer() && layer >= 0 && layer <= kLayerIdMax) return layer.get<int>();
    return invalid_input(fmt::format("{}: layer is {}; give the layer's number in the model, 0 to {}", where,
                                     brief(layer), kLayerIdMax));
  }

  Result<std::vector<std::uint64_t>> counts_of(const json& line, const std::string& where) {
    const json counts = line.value("counts", json());
    if (!counts.is_array() || counts.empty())
      return invalid_input(fmt::format("{}: counts is {}; give a count for each expert", where, brief(counts)));
    if (experts_ == 0) {
      EVENKEEL_TRY_STATUS(check_experts(path_, counts.size(), options_));
      experts_ = counts.size();
    }
    if (counts.size() != experts_) {
      return invalid_input(
          fmt::format("{}: counts is a list of {}; every layer needs {} counts", where, counts.size(), experts_));
    }
    std::vector<std::uint64_t> values;
    for (const json& value : counts) {
      const auto count = value.is_number() ? whole_count(value.get<double>()) : std::nullopt;
      if (!count) {
        return invalid_input(fmt::format("{}: counts[{}] is {}; give a whole number of tokens, 0 or above", where,
                                         values.size(), brief(value)));
      }
      values.push_back(*count);
    }
    return values;
  }

  Status end_window(const std::string& where) {
    std::vector<int> layers;
    for (const auto& [layer, counts] : counts_of_layer_) layers.push_back(layer);
    if (layers_.empty()) {
      layers_ = layers;
      RecordingHeader header;
      header.layer_ids = layers;
      header.experts = experts_;
      header.has_loads = true;
      EVENKEEL_TRY_STATUS(sink_.begin(path_, header));
    }
    if (layers != layers_) {
      return invalid_input(
          fmt::format("{}: the window that ends there has layers {} but the first has {}; give every "
                      "window a line for each layer",
                      where, fmt::join(layers, ", "), fmt::join(layers_, ", ")));
    }
    StageLoad window{.load_tokens = Grid<std::uint64_t>(layers.size(), experts_)};
    std::size_t row = 0;
    for (const auto& [layer, counts] : counts_of_layer_) std::ranges::copy(counts, window.load_tokens[row++].begin());
    counts_of_layer_.clear();
    return sink_.loads(std::move(window));
  }

  std::string path_;
  const ReadOptions& options_;
  RecordingSink& sink_;
  /// Of the present window.
  std::map<int, std::vector<std::uint64_t>> counts_of_layer_;
  std::vector<int> layers_;
  std::size_t experts_ = 0;
};

}  // namespace

Status read_layer_lines(const std::filesystem::path& file, const ReadOptions& options, RecordingSink& sink) {
  const std::string path = file.string();
  EVENKEEL_TRY_STATUS(check_regular_file(file));
  std::ifstream in(file, std::ios::binary);
  LayerWindows windows(path, options, sink);
  std::string line;
  for (std::size_t number = 1;; ++number) {
    const std::string where = fmt::format("{}: line {}", path, number);
    EVENKEEL_TRY(is_line, read_line(in, where, line));
    if (!is_line) break;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      EVENKEEL_TRY_STATUS(windows.add(json::parse(line), where));
    } catch (const json::parse_error& fault) {
      return invalid_input(json_fault(where, line, fault.byte, fault));
    } catch (const json::exception&) {
      return invalid_input(fmt::format("{}: it holds a number beyond reason; give whole numbers of tokens", where));
    }
  }
  return windows.finish();
}

}  // namespace evenkeel
