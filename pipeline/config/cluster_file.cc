#include "pipeline/config/cluster_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <optional>
#include <sstream>

#include "pipeline/config/bundled_files.h"
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

Status read_number(const StrictYaml& yaml, const char* key, double& value) {
  EVENKEEL_TRY(number, yaml.number(key));
  value = number.value_or(value);
  return {};
}

Status read_gpu(const StrictYaml& yaml, GpuSpec& gpu) {
  EVENKEEL_TRY_STATUS(read_number(yaml, "gpu.memory_tb_per_s", gpu.memory_tb_per_s));
  EVENKEEL_TRY_STATUS(read_number(yaml, "gpu.fp8_tflop_per_s", gpu.fp8_tflop_per_s));
  EVENKEEL_TRY_STATUS(read_number(yaml, "gpu.bf16_tflop_per_s", gpu.bf16_tflop_per_s));
  return read_number(yaml, "gpu.reached_ratio", gpu.reached_ratio);
}

Status read_step_time(const StrictYaml& yaml, StepTimeSettings& settings) {
  using Microseconds = StepTimeSettings::Microseconds;
  EVENKEEL_TRY(per_token, yaml.number("step_time.compute_per_token_us"));
  EVENKEEL_TRY(per_expert, yaml.number("step_time.compute_per_expert_us"));
  EVENKEEL_TRY(other, yaml.number("step_time.other_per_layer_us"));
  if (per_token) settings.compute_per_token = Microseconds(*per_token);
  if (per_expert) settings.compute_per_expert = Microseconds(*per_expert);
  if (other) settings.other_per_layer = Microseconds(*other);
  return read_number(yaml, "step_time.overlap_ratio", settings.overlap_ratio);
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
Result<std::vector<T>> per_gpu(const StrictYaml& yaml, const std::string& name, const std::string& key,
                               std::size_t gpus) {
  const auto text = yaml.text(key);
  if (!text) return std::vector<T>();
  const auto wrong = [&](const std::string& why) {
    return invalid_input(
        fmt::format("{}: key '{}' is [{}]: {}; give one value for all, or one for each of {} GPUs, "
                    "such as [{}x1, {}x2]",
                    name, key, *text, why, gpus, gpus - gpus / 2, gpus / 2));
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

/// A document of the file, and what messages call it.
struct Document {
  std::string name;
  std::string text;
};

/// The documents between lines of three dashes; what is empty but for comments before the first is none.
std::vector<Document> documents_of(const std::string& name, std::istream& in) {
  std::vector<Document> documents{{name, ""}};
  bool is_empty = true;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("---") && line.find_first_not_of("- \r\t") == std::string::npos) {
      if (!is_empty) documents.push_back({fmt::format("{} (document {})", name, documents.size() + 1), ""});
      is_empty = true;
      continue;
    }
    const auto first = line.find_first_not_of(" \r\t");
    is_empty = is_empty && (first == std::string::npos || line[first] == '#');
    documents.back().text += line + '\n';
  }
  if (is_empty && documents.size() > 1) documents.pop_back();
  return documents;
}

Result<StrictYaml> parse_group(const Document& document) {
  return StrictYaml::parse(document.name, document.text,
                           {"name",
                            "hardware",
                            "gpus",
                            "nodes",
                            "intra_node.bandwidth_gb_per_s",
                            "intra_node.latency_us",
                            "inter_node.bandwidth_gb_per_s",
                            "inter_node.latency_us",
                            "gpu.memory_tb_per_s",
                            "gpu.fp8_tflop_per_s",
                            "gpu.bf16_tflop_per_s",
                            "gpu.reached_ratio",
                            "step_time.compute_per_token_us",
                            "step_time.compute_per_expert_us",
                            "step_time.other_per_layer_us",
                            "step_time.overlap_ratio",
                            "speeds",
                            "slots",
                            "memory_gb",
                            "layers",
                            "stage"},
                           {"speeds", "slots", "memory_gb", "layers"});
}

/// What the hardware is, without how much there is of it.
Status read_hardware(const StrictYaml& yaml, const std::string& file, Cluster& cluster) {
  if (const auto name = yaml.text("hardware")) {
    EVENKEEL_TRY(preset, find_bundled(bundled_hardware(), *name, fmt::format("{}: hardware", file), "give one of"));
    EVENKEEL_TRY(of_preset, parse_group({std::string(preset.name), std::string(preset.content)}));
    EVENKEEL_TRY_STATUS(read_hardware(of_preset, file, cluster));
  }
  EVENKEEL_TRY_STATUS(read_link(yaml, "intra_node", cluster.intra_node));
  EVENKEEL_TRY_STATUS(read_link(yaml, "inter_node", cluster.inter_node));
  EVENKEEL_TRY_STATUS(read_gpu(yaml, cluster.gpu_spec));
  return read_step_time(yaml, cluster.step_time);
}

Result<EpGroup> read_group(const Document& document) {
  EVENKEEL_TRY(yaml, parse_group(document));
  EpGroup group;
  Cluster& cluster = group.cluster;
  EVENKEEL_TRY(gpus, yaml.count("gpus"));
  if (!gpus) return invalid_input(fmt::format("{}: key 'gpus' is missing; give the number of GPUs", document.name));
  cluster.gpus = *gpus;
  EVENKEEL_TRY(nodes, yaml.count("nodes"));
  cluster.nodes = nodes.value_or(1);
  EVENKEEL_TRY_STATUS(read_hardware(yaml, document.name, cluster));
  const auto check = [&]() -> Status {
    const Status status = cluster.validate();
    if (status) return {};
    return tl::unexpected(status.error().about(document.name));
  };
  // The lists are of as many GPUs as are valid.
  EVENKEEL_TRY_STATUS(check());
  EVENKEEL_TRY(speeds, per_gpu<double>(yaml, document.name, "speeds", cluster.gpus));
  EVENKEEL_TRY(slots, per_gpu<std::uint32_t>(yaml, document.name, "slots", cluster.gpus));
  EVENKEEL_TRY(memory_gb, per_gpu<double>(yaml, document.name, "memory_gb", cluster.gpus));
  cluster.speeds = std::move(speeds);
  cluster.slots = std::move(slots);
  cluster.memory_gb = std::move(memory_gb);
  EVENKEEL_TRY_STATUS(check());
  EVENKEEL_TRY(layers, yaml.numbers("layers", kLayersBelow));
  group.layers = std::move(layers);
  if (const auto name = yaml.text("stage")) {
    const auto stage = parse_stage(*name);
    if (!stage) return invalid_input(fmt::format("{}: key 'stage' {}", document.name, stage.error().message));
    group.stage = *stage;
  }
  group.name = yaml.text("name").value_or("");
  const bool is_plain = std::ranges::all_of(
      group.name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_'; });
  if (!is_plain) {
    return invalid_input(
        fmt::format("{}: key 'name' is '{}'; give letters, digits, - and _, since files are named after it",
                    document.name, group.name));
  }
  return group;
}

std::string names_of(const std::vector<EpGroup>& groups) {
  std::vector<std::string> names;
  for (const EpGroup& group : groups) names.push_back(group.name.empty() ? "(no name)" : group.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::vector<std::string> hardware_names() { return names_of(bundled_hardware()); }

Result<std::vector<EpGroup>> read_cluster(const std::string& path_or_name) {
  std::string name = path_or_name;
  std::string text;
  if (is_path(path_or_name)) {
    EVENKEEL_TRY(read, read_settings_text(path_or_name));
    text = std::move(read);
  } else {
    EVENKEEL_TRY(preset, find_bundled(bundled_hardware(), path_or_name, "cluster", "give a cluster file, or one of"));
    text = preset.content;
    name += ".yaml";
  }
  std::stringstream in(text);
  std::vector<EpGroup> groups;
  const auto documents = documents_of(name, in);
  for (const Document& document : documents) {
    EVENKEEL_TRY(group, read_group(document));
    if (documents.size() > 1 && group.name.empty()) {
      return invalid_input(fmt::format("{}: key 'name' is missing; give each of several EP groups one", document.name));
    }
    if (std::ranges::find(groups, group.name, &EpGroup::name) != groups.end()) {
      return invalid_input(
          fmt::format("{}: a group '{}' is there already; give another name", document.name, group.name));
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

Result<EpGroup> named_group(const std::vector<EpGroup>& groups, const std::string& path_or_name,
                            const std::string& name) {
  const auto found = std::ranges::find(groups, name, &EpGroup::name);
  if (found != groups.end()) return *found;
  return invalid_input(fmt::format("{}: it has no group '{}'; give one of {}", path_or_name, name, names_of(groups)));
}

Result<EpGroup> only_group(const std::vector<EpGroup>& groups, const std::string& path_or_name) {
  if (groups.size() == 1) return groups.front();
  return invalid_input(fmt::format("{}: it has several EP groups; name one of {}", path_or_name, names_of(groups)),
                       {"ep_group"});
}

}  // namespace evenkeel
