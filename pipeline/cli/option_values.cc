#include "pipeline/cli/option_values.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string_view>
#include <system_error>

#include "pipeline/flags/nearest.h"

namespace evenkeel {
namespace {

/// A number at the start of the text, which is left without it; none where it starts with no number.
std::optional<double> take_number(std::string_view& text) {
  double number = 0;
  const auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  return number;
}

/// The text without a prefix; none where it has another.
std::optional<std::string_view> after(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return text.substr(prefix.size());
}

/// Seconds in a unit of time; none for what is no unit.
std::optional<double> seconds_in(std::string_view unit) {
  if (unit.empty() || unit == "s") return 1.0;
  if (unit == "ms") return 1e-3;
  if (unit == "m") return 60.0;
  if (unit == "h") return 3600.0;
  return std::nullopt;
}

/// "A,B" after "weighted:", each from 0 to 1e6.
std::optional<CommWeights> weights_of(std::string_view text) {
  const auto other_gpu = take_number(text);
  const auto second = after(text, ",");
  if (!other_gpu || !second) return std::nullopt;
  text = *second;
  const auto other_node = take_number(text);
  const auto is_weight = [](double weight) { return weight >= 0 && weight <= 1e6; };
  if (!other_node || !text.empty() || !is_weight(*other_gpu) || !is_weight(*other_node)) return std::nullopt;
  return CommWeights{*other_gpu, *other_node};
}

}  // namespace

Result<std::chrono::duration<double>> parse_duration(const std::string& flag, const std::string& text) {
  std::string_view unit = text;
  const auto number = take_number(unit);
  const auto seconds = seconds_in(unit);
  if (!number || !seconds || !(*number >= 0) || !std::isfinite(*number))
    return invalid_input(fmt::format("{} is '{}'; give a duration such as 500ms, 10s or 2m", flag, text));
  return std::chrono::duration<double>(*number * *seconds);
}

Result<std::optional<double>> parse_slack(const std::string& flag, const std::string& text) {
  if (text == "auto") return std::optional<double>();
  std::string_view rest = text;
  const auto slack = take_number(rest);
  if (slack && rest.empty() && *slack >= 0 && *slack <= 1) return slack;
  return invalid_input(fmt::format("{} is '{}'; give a ratio from 0 to 1 such as 0.02, or auto", flag, text));
}

Result<Robust> parse_robust(const std::string& flag, const std::string& text) {
  if (text == "mean") return Robust{0.0};
  if (text == "max") return Robust{1.0};
  if (auto rest = after(text, "cvar:")) {
    const auto quantile = take_number(*rest);
    if (quantile && rest->empty() && *quantile >= 0 && *quantile < 1) return Robust{*quantile};
  }
  return invalid_input(
      fmt::format("{} is '{}'; give mean, max, or cvar:Q with Q from 0 to below 1 such as cvar:0.75", flag, text));
}

std::string robust_text(const Robust& robust) {
  if (robust == Robust{0.0}) return "mean";
  if (robust == Robust{1.0}) return "max";
  return fmt::format("cvar:{}", robust.quantile);
}

Result<std::optional<CommWeights>> parse_objective(const std::string& flag, const std::string& text) {
  if (text == "lexicographic") return std::optional<CommWeights>();
  if (const auto rest = after(text, "weighted:")) {
    if (const auto weights = weights_of(*rest)) return weights;
  }
  return invalid_input(fmt::format(
      "{} is '{}'; give lexicographic, or weighted:A,B with weights from 0 to 1e6 such as weighted:0.25,1.0", flag,
      text));
}

std::string objective_text(const std::optional<CommWeights>& weights) {
  return weights ? fmt::format("weighted:{},{}", weights->other_gpu, weights->other_node) : "lexicographic";
}

Result<Strategy> parse_strategy(const std::string& flag, const std::string& name) {
  std::vector<std::string> names;
  for (const Strategy strategy : all_strategies()) {
    if (strategy_name(strategy) == name) return strategy;
    names.emplace_back(strategy_name(strategy));
  }
  return invalid_input(fmt::format("{}: strategy '{}' is unknown{}; give one of {}", flag, name,
                                   did_you_mean(name, names), strategy_names()));
}

std::string strategy_names() {
  std::vector<std::string> names;
  for (const Strategy strategy : all_strategies()) names.emplace_back(strategy_name(strategy));
  return CLI::detail::join(names, ", ");
}

const ValueNames<Comm>& comm_names() {
  static const ValueNames<Comm> names{{"resident", Comm::kResident}, {"dispatch", Comm::kDispatch}};
  return names;
}

const ValueNames<ReplicaSplit>& split_names() {
  static const ValueNames<ReplicaSplit> names{{"even", ReplicaSplit::kEven}, {"uneven", ReplicaSplit::kUneven}};
  return names;
}

const ValueNames<PlacementFormat>& format_names() {
  static const ValueNames<PlacementFormat> names = [] {
    ValueNames<PlacementFormat> list;
    for (const std::string& name : placement_format_names()) list.emplace_back(name, *placement_format(name));
    return list;
  }();
  return names;
}

}  // namespace evenkeel
