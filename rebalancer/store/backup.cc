#include "rebalancer/store/backup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

#include "rebalancer/core/recovery.h"
#include "rebalancer/store/journal.h"
#include "rebalancer/store/sqlite_adapter.h"

namespace evenkeel::rebalancer {
namespace {

constexpr const char* kJournal = "journal.sqlite";

/// A failed step with the file it was about.
tl::unexpected<Error> about(const std::filesystem::path& file, const Error& error) {
  return failure(fmt::format("{}: {}", file.string(), error.message));
}

/// One file without a write-ahead log beside it.
Status copy_database(const std::filesystem::path& from, const std::filesystem::path& to) {
  auto source = SqliteDatabase::open_existing(from);
  if (!source) return about(from, source.error());
  static_cast<void>(source->run("PRAGMA busy_timeout=5000"));
  if (const auto records = source->prepare("SELECT count(*) FROM record"); !records) {
    return invalid_input(fmt::format("{}: it is no journal of a rebalancer ({}); check the path", from.string(),
                                     records.error().message));
  }
  auto target = SqliteDatabase::open(to);
  if (!target) return about(to, target.error());
  if (auto copied = source->copy_to(*target); !copied) return about(to, copied.error());
  if (auto closed = target->run("PRAGMA journal_mode=DELETE"); !closed) return about(to, closed.error());
  return {};
}

Status sync(const std::filesystem::path& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool is_synced = descriptor >= 0 && fsync(descriptor) == 0;
  if (descriptor >= 0) close(descriptor);
  return is_synced ? Status() : failure(fmt::format("{}: it cannot be synced to the disk", path.string()));
}

Status move_into_place(const std::filesystem::path& made, const std::filesystem::path& wanted) {
  EVENKEEL_TRY_STATUS(sync(made));
  std::error_code error;
  std::filesystem::rename(made, wanted, error);
  if (error) return failure(fmt::format("{}: {}; give a path that can be written", wanted.string(), error.message()));
  return sync(wanted.parent_path().empty() ? "." : wanted.parent_path());
}

/// Reads a journal as a rebalancer would at its start.
Status check_journal(const std::filesystem::path& folder) {
  EVENKEEL_TRY(journal, Journal::open(folder));
  EVENKEEL_TRY(records, journal.records());
  EVENKEEL_TRY(totals, journal.totals());
  if (const auto recovery = recover(1, records, totals); !recovery) {
    return tl::unexpected(journal.explain(recovery.error()));
  }
  return {};
}

}  // namespace

Status back_up(const std::filesystem::path& folder, const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(folder / kJournal, error)) {
    return invalid_input(
        fmt::format("{}: it has no {}; give the --state folder of a rebalancer", folder.string(), kJournal));
  }
  std::filesystem::path made = file;
  made += ".part";
  std::filesystem::remove(made, error);
  const mode_t mask = umask(S_IRWXG | S_IRWXO);
  const Status copied = copy_database(folder / kJournal, made);
  umask(mask);
  if (copied) return move_into_place(made, file);
  std::filesystem::remove(made, error);
  return copied;
}

Status restore(const std::filesystem::path& file, const std::filesystem::path& folder) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) {
    return invalid_input(fmt::format("{}: there is no such file; give one that backup has written", file.string()));
  }
  if (std::filesystem::exists(folder / kJournal, error)) {
    return invalid_input(
        fmt::format("{}: it has a {} already; give another folder, or move that file away", folder.string(), kJournal));
  }
  const std::filesystem::path trial = folder / "restoring";
  std::filesystem::remove_all(trial, error);
  std::filesystem::create_directories(trial, error);
  if (error) return failure(fmt::format("{}: {}; give a folder that can be written", trial.string(), error.message()));
  Status restored = copy_database(file, trial / kJournal);
  if (restored) restored = check_journal(trial);
  if (restored) restored = move_into_place(trial / kJournal, folder / kJournal);
  std::filesystem::remove_all(trial, error);
  return restored;
}

}  // namespace evenkeel::rebalancer
