#include "agents/recordings/recordings_folder.h"

#include <fmt/format.h>

#include <chrono>
#include <system_error>
#include <utility>

namespace evenkeel::agent {
namespace {

constexpr std::chrono::seconds kQuiet{2};

}  // namespace

Result<RecordingsFolder> RecordingsFolder::open(std::filesystem::path folder, std::filesystem::path state,
                                                RecordingOptions options, Observer observer) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    return invalid_input(
        fmt::format("--recordings {}: it is no folder; give the one that the engine writes into", folder.string()));
  }
  EVENKEEL_TRY(counts, read_counts(state));
  return RecordingsFolder(std::move(folder), std::move(state), std::move(options), std::move(observer),
                          std::move(counts));
}

RecordingsFolder::RecordingsFolder(std::filesystem::path folder, std::filesystem::path state, RecordingOptions options,
                                   Observer observer, RecordedCounts counts)
    : folder_(std::move(folder)),
      state_(std::move(state)),
      options_(std::move(options)),
      observer_(std::move(observer)),
      counts_(std::move(counts)) {}

Status RecordingsFolder::look() {
  auto there = files();
  const std::error_code before = std::exchange(unreadable_, there ? std::error_code{} : there.error());
  if (!there) {
    if (unreadable_ == before) return {};
    observer_({"recordings_unreadable", {{"folder", folder_.string()}, {"reason", unreadable_.message()}}});
    return {};
  }
  std::erase_if(counts_.files, [&](const auto& entry) { return !there->contains(entry.first); });
  std::erase_if(refused_files_, [&](const auto& entry) { return !there->contains(entry.first); });
  for (const auto& [name, mark] : *there) {
    if (mark && is_finished(name, *mark)) EVENKEEL_TRY_STATUS(take(name, *mark));
  }
  seen_ = std::move(*there);
  return {};
}

tl::expected<RecordingsFolder::Files, std::error_code> RecordingsFolder::files() const {
  using std::filesystem::directory_iterator;
  Files found;
  std::error_code error;
  for (directory_iterator entry(folder_, error); !error && entry != directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    // Hidden ones are half-written, or ours.
    if (name.starts_with(".")) continue;
    std::error_code unknown;
    if (!entry->is_regular_file(unknown) && !unknown) continue;
    const auto written = unknown ? std::filesystem::file_time_type{} : entry->last_write_time(unknown);
    const std::uint64_t bytes = unknown ? 0 : entry->file_size(unknown);
    const auto written_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(written.time_since_epoch()).count();
    found[name] = unknown ? std::nullopt : std::optional(FileMark{bytes, written_ns});
  }
  if (error) return tl::unexpected(error);
  return found;
}

bool RecordingsFolder::is_finished(const std::string& name, const FileMark& mark) const {
  const auto before = seen_.find(name);
  const auto now = std::filesystem::file_time_type::clock::now().time_since_epoch();
  return before != seen_.end() && before->second == mark && now - std::chrono::nanoseconds(mark.written_ns) >= kQuiet;
}

Status RecordingsFolder::take(const std::string& name, const FileMark& mark) {
  const auto counted = counts_.files.find(name);
  if (counted != counts_.files.end() && counted->second == mark) return {};
  if (const auto refused = refused_files_.find(name); refused != refused_files_.end() && refused->second == mark)
    return {};
  const std::filesystem::path path = folder_ / name;
  Status taken;
  RecordedCounts sum = counts_;
  if (counted != counts_.files.end()) {
    taken =
        invalid_input(fmt::format("{}: it has changed since it was counted, and is not counted again; have each "
                                  "recording written to a file of its own",
                                  path.string()));
  } else if (auto counts = count_recording(path, options_); counts) {
    taken = add(sum, *counts, path);
  } else {
    taken = tl::unexpected(counts.error());
  }
  if (!taken) {
    ++refused_;
    refused_files_[name] = mark;
    observer_({"recording_refused", {{"reason", taken.error().message}}});
    return {};
  }
  sum.files[name] = mark;
  EVENKEEL_TRY_STATUS(write_counts(state_, sum));
  counts_ = std::move(sum);
  ++counted_;
  observer_({"recording_counted", {{"file", path.string()}, {"bytes", mark.bytes}}});
  return {};
}

}  // namespace evenkeel::agent
