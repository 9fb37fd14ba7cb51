#include "pipeline/config/cluster_file.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <sstream>

#include "pipeline/config/strict_yaml.h"

namespace evenkeel {
namespace {

Status read_link(const StrictYaml& yaml, const std::string& tier, Link& link) {
  EVENKEEL_TRY(bandwidth, yaml.number(tier + ".bandwidth_gb_per_s"));
  EVENKEEL_TRY(latency, yaml.number(tier + ".latency_us"));
  if (bandwidth) link.bandwidth_gb_per_s = *bandwidth;
  if (latency) link.latency = std::chrono::duration<double, std::micro>(*latency);
  return {};
}

/// The whole of a text as a number, or none.
template <class T>
std::optional<T> number_in(std::string_view text) {
  T value{};
  const auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

/// A value for each GPU: one for all, or a list of values and of "16x0.5", 16 GPUs with that value each. Empty where
/// the file does not set it.
template <class T>
Result<std::vector<T>> per_gpu(const StrictYaml& yaml, const std::filesystem::path& path, const std::string& key,
                               std::size_t gpus) {
  const auto text = yaml.text(key);
  if (!text) return std::vector<T>();
  const auto wrong = [&](const std::string& why) {
    return invalid_input(
        fmt::format("{}: key '{}' is [{}]: {}; give one value for all, or one for each of {} GPUs, "
                    "such as [{}x1, {}x2]",
                    path.string(), key, *text, why, gpus, gpus - gpus / 2, gpus / 2));
  };
  std::vector<T> values;
  std::stringstream items(*text);
  bool is_list = false;
  for (std::string item; std::getline(items, item, ',');) {
    is_list = is_list || items.good();
    std::string_view value(item);
    while (value.starts_with(' ')) value.remove_prefix(1);
    std::size_t times = 1;
    if (const auto by = value.find('x'); by != std::string_view::npos) {
      const auto count = number_in<std::size_t>(value.substr(0, by));
      if (!count || *count == 0 || *count > gpus) return wrong(fmt::format("'{}' names no number of GPUs", item));
      times = *count;
      is_list = true;
      value.remove_prefix(by + 1);
    }
    const auto number = number_in<T>(value);
    if (!number) return wrong(fmt::format("'{}' is no number that fits", item));
    if (values.size() + times > gpus) return wrong(fmt::format("more values than {} GPUs", gpus));
    values.insert(values.end(), times, *number);
  }
  if (!is_list && values.size() == 1) return std::vector<T>(gpus, values.front());
  if (values.size() != gpus) return wrong(fmt::format("{} values", values.size()));
  return values;
}

}  // namespace

Result<Cluster> read_cluster(const std::filesystem::path& path) {
  EVENKEEL_TRY(yaml, StrictYaml::read(path,
                                      {"gpus", "nodes", "intra_node.bandwidth_gb_per_s", "intra_node.latency_us",
                                       "inter_node.bandwidth_gb_per_s", "inter_node.latency_us", "speeds", "slots"},
                                      {"speeds", "slots"}));
  Cluster cluster;
  EVENKEEL_TRY(gpus, yaml.count("gpus"));
  if (!gpus) return invalid_input(fmt::format("{}: key 'gpus' is missing; give the number of GPUs", path.string()));
  cluster.gpus = *gpus;
  EVENKEEL_TRY(nodes, yaml.count("nodes"));
  cluster.nodes = nodes.value_or(1);
  EVENKEEL_TRY_STATUS(read_link(yaml, "intra_node", cluster.intra_node));
  EVENKEEL_TRY_STATUS(read_link(yaml, "inter_node", cluster.inter_node));
  if (auto status = cluster.validate(); !status) {
    return tl::unexpected(Error{status.error().code, fmt::format("{}: {}", path.string(), status.error().message)});
  }
  EVENKEEL_TRY(speeds, per_gpu<double>(yaml, path, "speeds", cluster.gpus));
  EVENKEEL_TRY(slots, per_gpu<std::uint32_t>(yaml, path, "slots", cluster.gpus));
  cluster.speeds = std::move(speeds);
  cluster.slots = std::move(slots);
  if (auto status = cluster.validate(); !status) {
    return tl::unexpected(Error{status.error().code, fmt::format("{}: {}", path.string(), status.error().message)});
  }
  return cluster;
}

}  // namespace evenkeel
