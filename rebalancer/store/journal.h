#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "partition/foundation/result.h"
#include "rebalancer/core/journal_record.h"
#include "rebalancer/store/folder_lock.h"
#include "rebalancer/store/sqlite_adapter.h"

namespace evenkeel::rebalancer {

/// Every decision of a rebalancer, on disk before anyone hears of it: `journal.sqlite` in the state folder, WAL with
/// synchronous=FULL, so what append() took survives kill -9 and loss of power. One process at a time decides; others
/// may read.
/// Not thread-safe. Cost: one fsync a call, about 3 ms on an SSD. Errors name the file and what to do.
class Journal {
 public:
  /// Makes the folder and the file where they are missing. Fails with kFailure where the file is damaged, of another
  /// version, or held by another process.
  [[nodiscard]] static Result<Journal> open(const std::filesystem::path& folder);

  /// Starts a leadership: one above every term before.
  [[nodiscard]] Result<std::uint64_t> begin_term();
  /// In the order they were written. Fails with kFailure where a map cannot be read.
  [[nodiscard]] Result<std::vector<JournalRecord>> records();
  /// Writes all records or none. An ABORT drops the map of its PREPARE; COMMIT and ABORT drop the records of a model's
  /// epochs more than 256 behind them, but those of its last COMMIT.
  [[nodiscard]] Status append(std::span<const JournalRecord> records);
  /// Writes what was decided, for people; the newest 4,096 decisions are kept.
  [[nodiscard]] Status append(const DecidedRecord& record);

  /// Puts each record in the place of what was kept of that worker: all or nothing.
  [[nodiscard]] Status keep(std::span<const TotalRecord> records);
  /// What is kept, by model and worker. Fails with kFailure where it cannot be read.
  [[nodiscard]] Result<std::vector<TotalRecord>> totals();

  /// What is wrong with what was read from it, with the file's name and the remedy: kFailure.
  [[nodiscard]] Error explain(const Error& error) const;

  /// What an operator wants until further notice, such as "freeze", with the words it was asked in; none removes it.
  [[nodiscard]] Status set_wish(std::string_view name, const std::optional<std::string>& reason);
  /// The words of a wish, or none where there is no such wish.
  [[nodiscard]] Result<std::optional<std::string>> wish(std::string_view name);

 private:
  Journal(std::string path, FolderLock lock, SqliteDatabase database)
      : path_(std::move(path)), lock_(std::move(lock)), database_(std::move(database)) {}

  [[nodiscard]] Status prepare_file();
  [[nodiscard]] Status check_version();
  [[nodiscard]] Status insert(const JournalRecord& record);
  [[nodiscard]] Status drop_map(const JournalRecord& aborted);
  [[nodiscard]] Status insert(const DecidedRecord& record);
  [[nodiscard]] Status replace(const TotalRecord& record);
  [[nodiscard]] Status insert(const TotalRecord& record, std::string_view stage, std::uint64_t tokens,
                              const Grid<std::uint64_t>& counts);
  /// All of it or nothing; one fsync.
  template <class Inserts>
  [[nodiscard]] Status in_transaction(const Inserts& inserts);
  [[nodiscard]] Result<JournalRecord> read(const SqliteStatement& row) const;
  std::string path_;
  FolderLock lock_;
  SqliteDatabase database_;
};

}  // namespace evenkeel::rebalancer
