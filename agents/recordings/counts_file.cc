// The state of an agent that reads recordings: JSON, written beside its place, synced and moved there.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "agents/recordings/recorded_counts.h"

namespace evenkeel::agent {
namespace {

using Json = nlohmann::json;

constexpr const char* kSchema = "evenkeel.recorded-counts/2";

Json json_of(const FileMark& mark) { return {mark.bytes, mark.written_ns, mark.device, mark.inode}; }

FileMark mark_of(const Json& json) {
  return {.written_ns = json.at(1), .bytes = json.at(0), .device = json.at(2), .inode = json.at(3)};
}

Json json_of(const RecordedCounts& counts) {
  Json stages = Json::array();
  for (const StageLoad& stage : counts.stages()) {
    const auto cells = stage.load_tokens.cells();
    stages.push_back({{"stage", static_cast<int>(stage.stage)},
                      {"tokens", stage.tokens},
                      {"counts", std::vector<std::uint64_t>(cells.begin(), cells.end())}});
  }
  Json files = Json::object();
  for (const auto& [name, mark] : counts.files) files[name] = json_of(mark);
  Json gone = Json::array();
  for (const auto& [mark, name] : counts.gone) gone.push_back({name, json_of(mark)});
  return {{"schema", kSchema},
          {"incarnation", counts.incarnation},
          {"reports_from", counts.reports_from},
          {"layer_ids", counts.layer_ids},
          {"experts", counts.experts},
          {"stages", std::move(stages)},
          {"files", std::move(files)},
          {"gone", std::move(gone)}};
}

/// Throws what nlohmann throws where a field is missing or of another type.
std::optional<RecordedCounts> counts_of(const Json& json) {
  if (json.at("schema") != kSchema) return std::nullopt;
  RecordedCounts counts;
  counts.incarnation = json.at("incarnation");
  counts.reports_from = json.at("reports_from");
  counts.layer_ids = json.at("layer_ids").get<std::vector<int>>();
  counts.experts = json.at("experts");
  const std::size_t layers = counts.layer_ids.size();
  if (counts.incarnation == 0 || layers > wire::kLayersMax || counts.experts > wire::kExpertsMax) return std::nullopt;
  if (counts.reports_from > wire::kNumberMax - 2 * kReportsOfProcess) return std::nullopt;
  for (const Json& entry : json.at("stages")) {
    const auto stage = entry.at("stage").get<std::size_t>();
    const auto cells = entry.at("counts").get<std::vector<std::uint64_t>>();
    if (stage >= counts.counts.size() || cells.empty() || cells.size() != layers * counts.experts) return std::nullopt;
    Grid<std::uint64_t> table(layers, counts.experts);
    std::ranges::copy(cells, table.cells().begin());
    counts.counts[stage] = {static_cast<Stage>(stage), entry.at("tokens"), std::move(table)};
  }
  for (const auto& [name, mark] : json.at("files").items()) counts.files[name] = mark_of(mark);
  for (const Json& file : json.at("gone")) counts.gone.insert({mark_of(file.at(1)), file.at(0)});
  return counts;
}

Status write_and_sync(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return failure(std::generic_category().message(errno));
  std::size_t done = 0;
  while (done < text.size()) {
    const auto written = ::write(file, text.data() + done, text.size() - done);
    if (written <= 0) break;
    done += static_cast<std::size_t>(written);
  }
  const bool is_synced = done == text.size() && ::fsync(file) == 0;
  const int error = errno;
  ::close(file);
  return is_synced ? Status() : failure(std::generic_category().message(error));
}

/// Without it, the file that was there before may be back after a power cut.
Status sync_folder(const std::filesystem::path& folder) {
  const int file = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool is_synced = file >= 0 && ::fsync(file) == 0;
  const int error = errno;
  if (file >= 0) ::close(file);
  return is_synced ? Status() : failure(std::generic_category().message(error));
}

}  // namespace

Result<RecordedCounts> read_counts(const std::filesystem::path& path) {
  std::error_code error;
  const bool is_there = std::filesystem::exists(path, error);
  if (error) {
    return failure(
        fmt::format("--recordings-state {}: {}; give a file that can be read", path.string(), error.message()));
  }
  if (!is_there) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    RecordedCounts fresh;
    fresh.incarnation = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
    return fresh;
  }
  std::ifstream in(path);
  const Json json = Json::parse(in, nullptr, false);
  try {
    if (auto counts = json.is_object() ? counts_of(json) : std::nullopt) return *std::move(counts);
  } catch (const Json::exception&) {
    // Said below.
  }
  return invalid_input(
      fmt::format("--recordings-state {}: it is no state of an agent of this version; give another file, or remove it "
                  "together with the recordings "
                  "that were counted",
                  path.string()));
}

Status write_counts(const std::filesystem::path& path, const RecordedCounts& counts) {
  const std::string made = path.string() + ".part";
  Status written = write_and_sync(made, json_of(counts).dump());
  if (written) {
    std::error_code error;
    std::filesystem::rename(made, path, error);
    written = error ? failure(error.message()) : sync_folder(path.parent_path());
  }
  if (written) return {};
  return failure(fmt::format("--recordings-state {}: {}; give a file that can be written", path.string(),
                             written.error().message));
}

}  // namespace evenkeel::agent
