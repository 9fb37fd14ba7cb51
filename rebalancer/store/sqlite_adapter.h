#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "partition/foundation/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace evenkeel::rebalancer {

/// One prepared statement, run once. Columns and parameters count from 0.
class SqliteStatement {
 public:
  void bind(int parameter, std::uint64_t number);
  void bind(int parameter, std::string_view text);
  /// A number, or NULL where there is none.
  void bind_real(int parameter, std::optional<double> number);
  /// Bytes, or NULL where there are none.
  void bind_blob(int parameter, const std::optional<std::string>& bytes);

  /// Moves to the next row; false after the last. Fails with kFailure in SQLite's words.
  [[nodiscard]] Result<bool> step();
  [[nodiscard]] std::uint64_t number(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::optional<std::string> blob(int column) const;

 private:
  friend class SqliteDatabase;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit SqliteStatement(sqlite3_stmt* statement) : statement_(statement) {}

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// One connection. The only file that includes SQLite's header is the adapter's. Not thread-safe.
class SqliteDatabase {
 public:
  /// Opens or makes the file. Fails with kFailure.
  [[nodiscard]] static Result<SqliteDatabase> open(const std::filesystem::path& path);
  /// Opens a file that is there. Fails with kFailure.
  [[nodiscard]] static Result<SqliteDatabase> open_existing(const std::filesystem::path& path);

  [[nodiscard]] Result<SqliteStatement> prepare(std::string_view sql);
  /// Runs statements that give no rows anyone wants.
  [[nodiscard]] Status run(const std::string& sql);
  [[nodiscard]] std::uint64_t last_row() const;
  /// Makes `target` a copy of this database as it is at one moment, while others use it (SQLite's online backup).
  /// Fails with kFailure.
  [[nodiscard]] Status copy_to(SqliteDatabase& target);

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  explicit SqliteDatabase(sqlite3* database) : database_(database) {}
  [[nodiscard]] static Result<SqliteDatabase> open_with(const std::filesystem::path& path, int flags);

  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace evenkeel::rebalancer
