#include "pipeline/trace/sglang_counts.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "pipeline/trace/json_file.h"

namespace evenkeel {
namespace {

using nlohmann::json;

/// Above this a double no longer holds every whole number.
constexpr double kCountMax = 9007199254740992.0;

Result<std::uint64_t> count_of(const json& value, const std::string& where) {
  if (value.is_number()) {
    const double number = value.get<double>();
    if (number >= 0 && number <= kCountMax && number == std::floor(number)) return static_cast<std::uint64_t>(number);
  }
  return invalid_input(fmt::format("{} is {}; give a whole number of tokens, 0 or above", where, brief(value)));
}

Result<Grid<std::uint64_t>> counts_of(const json& rows, const std::string& where) {
  if (!rows.is_array() || rows.empty() || !rows[0].is_array() || rows[0].empty()) {
    return invalid_input(fmt::format("{} is {}; give a list of layers, each a list of counts", where, brief(rows)));
  }
  Grid<std::uint64_t> counts(rows.size(), rows[0].size());
  if (counts.cols() > kExpertsMax) {
    return invalid_input(
        fmt::format("{}[0] has {} experts; at most {} are accepted", where, counts.cols(), kExpertsMax));
  }
  for (std::size_t layer = 0; layer < rows.size(); ++layer) {
    if (!rows[layer].is_array() || rows[layer].size() != counts.cols()) {
      return invalid_input(
          fmt::format("{}[{}] is {}; every layer needs {} counts", where, layer, brief(rows[layer]), counts.cols()));
    }
    for (std::size_t expert = 0; expert < counts.cols(); ++expert) {
      EVENKEEL_TRY(count, count_of(rows[layer][expert], fmt::format("{}[{}][{}]", where, layer, expert)));
      counts(layer, expert) = count;
    }
  }
  return counts;
}

Result<std::vector<Grid<std::uint64_t>>> steps_of(const json& document, const std::string& path) {
  const std::string where = fmt::format("{}: logical_count", path);
  const json& field = document.at("logical_count");
  const bool has_steps =
      field.is_array() && !field.empty() && field[0].is_array() && !field[0].empty() && field[0][0].is_array();
  std::vector<Grid<std::uint64_t>> steps;
  if (!has_steps) {
    EVENKEEL_TRY(counts, counts_of(field, where));
    steps.push_back(std::move(counts));
    return steps;
  }
  for (std::size_t step = 0; step < field.size(); ++step) {
    EVENKEEL_TRY(counts, counts_of(field[step], fmt::format("{}[{}]", where, step)));
    if (!steps.empty() && (counts.rows() != steps[0].rows() || counts.cols() != steps[0].cols())) {
      return invalid_input(fmt::format("{}[{}] is {} x {} but step 0 is {} x {}; steps of one model have one shape",
                                       where, step, counts.rows(), counts.cols(), steps[0].rows(), steps[0].cols()));
    }
    steps.push_back(std::move(counts));
  }
  return steps;
}

}  // namespace

Status read_sglang_counts(const std::filesystem::path& file, const ReadOptions& options, RecordingSink& sink) {
  const std::string path = file.string();
  EVENKEEL_TRY(document, read_json(file));
  if (!document.is_object() || !document.contains("logical_count")) {
    return invalid_input(
        fmt::format("{}: it has no key logical_count; give a native NPZ trace or SGLang's recorded counts", path));
  }
  EVENKEEL_TRY(steps, steps_of(document, path));
  RecordingHeader header;
  header.experts = steps[0].cols();
  if (options.experts && options.experts != header.experts) {
    return invalid_input(fmt::format("{}: it counts {} experts but --experts is {}; make them agree", path,
                                     *header.experts, *options.experts));
  }
  header.has_loads = true;
  header.hidden_layers = steps[0].rows();
  header.layer_ids.resize(steps[0].rows());
  std::iota(header.layer_ids.begin(), header.layer_ids.end(), 0);
  EVENKEEL_TRY_STATUS(sink.begin(path, header));
  for (auto& step : steps) EVENKEEL_TRY_STATUS(sink.loads({std::move(step), "mixed"}));
  return sink.end();
}

}  // namespace evenkeel
