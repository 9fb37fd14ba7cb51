#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "partition/model/result.h"
#include "rebalancer/core/journal_record.h"
#include "rebalancer/store/sqlite_adapter.h"

namespace evenkeel::rebalancer {

/// Every decision of a rebalancer, on disk before anyone hears of it: `journal.sqlite` in the state folder, WAL with
/// synchronous=FULL, so what append() took survives kill -9 and loss of power. One process at a time has it open.
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
  /// Writes all records or none. Records of epochs more than 256 behind a COMMIT are dropped.
  [[nodiscard]] Status append(std::span<const JournalRecord> records);

 private:
  Journal(std::string path, SqliteDatabase database) : path_(std::move(path)), database_(std::move(database)) {}

  [[nodiscard]] Status prepare_file();
  [[nodiscard]] Status check_version();
  [[nodiscard]] Status insert(const JournalRecord& record);
  [[nodiscard]] Status insert_all(std::span<const JournalRecord> records);
  [[nodiscard]] Result<JournalRecord> read(const SqliteStatement& row) const;
  [[nodiscard]] Error explain(const Error& error) const;

  std::string path_;
  SqliteDatabase database_;
};

}  // namespace evenkeel::rebalancer
