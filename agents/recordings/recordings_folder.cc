#include "agents/recordings/recordings_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
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
  RecordingsFolder opened(std::move(folder), std::move(state), std::move(options), std::move(observer));
  EVENKEEL_TRY_STATUS(opened.take_state());
  return opened;
}

RecordingsFolder::RecordingsFolder(std::filesystem::path folder, std::filesystem::path state, RecordingOptions options,
                                   Observer observer)
    : folder_(std::move(folder)),
      state_(std::move(state)),
      options_(std::move(options)),
      observer_(std::move(observer)) {}

Status RecordingsFolder::take_state() {
  EVENKEEL_TRY(counts, read_counts(state_));
  const bool is_fresh = counts.files.empty() && counts.gone.empty();
  if (is_fresh) {
    counts_ = std::move(counts);
    return {};
  }
  // Before any of them is sent: the clock may have been set back since the last process took its own.
  counts.reports_from += kReportsOfProcess;
  return write(std::move(counts));
}

Status RecordingsFolder::write(RecordedCounts counts) {
  EVENKEEL_TRY_STATUS(write_counts(state_, counts));
  state_mark_ = mark_of(state_);
  counts_ = std::move(counts);
  return {};
}

bool RecordingsFolder::is_state_ours() const {
  const auto mark = mark_of(state_);
  return mark && state_mark_ ? mark->has_content_of(*state_mark_) : mark == state_mark_;
}

Status RecordingsFolder::look() {
  auto there = files();
  // After the files: those of a disk that is mounted in between are seen with its state.
  if (!state_mark_) EVENKEEL_TRY_STATUS(take_state());
  std::string reason;
  if (!there) {
    reason = there.error().message();
  } else if (!is_state_ours()) {
    reason = fmt::format("--recordings-state {}: it is gone, or not the file that this agent wrote; put that one back",
                         state_.string());
  }
  const bool is_new = std::exchange(unreadable_, reason) != reason;
  if (!reason.empty()) {
    if (is_new) observer_({"recordings_unreadable", {{"folder", folder_.string()}, {"reason", reason}}});
    return {};
  }
  notice_gone(*there);
  for (const auto& [name, mark] : *there) {
    if (mark && is_finished(name, *mark)) EVENKEEL_TRY_STATUS(take(name, *mark));
  }
  seen_ = std::move(*there);
  return {};
}

void RecordingsFolder::notice_gone(const Files& there) {
  std::set<FileMark> marks;
  for (const auto& [name, mark] : there) {
    if (mark) marks.insert(*mark);
  }
  std::erase_if(counts_.files, [&](const auto& counted) {
    const auto& [name, mark] = counted;
    const auto now = there.find(name);
    const bool has_gone = now == there.end();
    // Another file has its name now, and it has another name.
    const bool has_moved = !has_gone && now->second && !now->second->has_content_of(mark) && marks.contains(mark);
    if (has_gone || has_moved) counts_.gone.insert({mark, name});
    return has_gone || has_moved;
  });
  std::erase_if(refused_files_, [&](const auto& refused) { return !there.contains(refused.first); });
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
    found[name] = mark_of(entry->path());
  }
  if (error) return tl::unexpected(error);
  return found;
}

bool RecordingsFolder::is_finished(const std::string& name, const FileMark& mark) const {
  const auto before = seen_.find(name);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return before != seen_.end() && before->second == mark && now - std::chrono::nanoseconds(mark.written_ns) >= kQuiet;
}

bool RecordingsFolder::has_come_back(const std::string& name, const FileMark& mark) {
  for (auto file = counts_.gone.lower_bound({{.written_ns = mark.written_ns, .bytes = mark.bytes}, {}});
       file != counts_.gone.end() && file->mark.has_content_of(mark); ++file) {
    if (file->name != name && file->mark != mark) continue;
    counts_.gone.erase(file);
    return true;
  }
  return std::ranges::any_of(counts_.files, [&](const auto& counted) { return counted.second == mark; });
}

Status RecordingsFolder::take(const std::string& name, const FileMark& mark) {
  const auto counted = counts_.files.find(name);
  if (counted != counts_.files.end() && counted->second.has_content_of(mark)) return {};
  if (const auto refused = refused_files_.find(name); refused != refused_files_.end() && refused->second == mark)
    return {};
  if (has_come_back(name, mark)) {
    if (counted != counts_.files.end()) counts_.gone.insert({counted->second, name});
    counts_.files[name] = mark;
    return {};
  }
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
  // The disk may have been unmounted while the file was read: the next look tells.
  if (!is_state_ours()) return {};
  sum.files[name] = mark;
  while (sum.gone.size() > options_.gone_files_max) sum.gone.erase(sum.gone.begin());
  EVENKEEL_TRY_STATUS(write(std::move(sum)));
  ++counted_;
  observer_({"recording_counted", {{"file", path.string()}, {"bytes", mark.bytes}}});
  return {};
}

}  // namespace evenkeel::agent
