#include "rebalancer/store/sqlite_adapter.h"

#include <sqlite3.h>

#include "partition/foundation/check.h"

namespace evenkeel::rebalancer {

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void SqliteDatabase::Close::operator()(sqlite3* database) const { sqlite3_close(database); }

void SqliteStatement::bind(int parameter, std::uint64_t number) {
  const int code = sqlite3_bind_int64(statement_.get(), parameter + 1, static_cast<sqlite3_int64>(number));
  EVENKEEL_CHECK(code == SQLITE_OK, "the statement has this parameter");
}

void SqliteStatement::bind(int parameter, std::string_view text) {
  const int code =
      sqlite3_bind_text(statement_.get(), parameter + 1, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
  EVENKEEL_CHECK(code == SQLITE_OK, "the statement has this parameter");
}

void SqliteStatement::bind_real(int parameter, std::optional<double> number) {
  const int code = number ? sqlite3_bind_double(statement_.get(), parameter + 1, *number)
                          : sqlite3_bind_null(statement_.get(), parameter + 1);
  EVENKEEL_CHECK(code == SQLITE_OK, "the statement has this parameter");
}

void SqliteStatement::bind_blob(int parameter, const std::optional<std::string>& bytes) {
  const int code =
      bytes ? sqlite3_bind_blob64(statement_.get(), parameter + 1, bytes->data(), bytes->size(), SQLITE_TRANSIENT)
            : sqlite3_bind_null(statement_.get(), parameter + 1);
  EVENKEEL_CHECK(code == SQLITE_OK, "the statement has this parameter");
}

Result<bool> SqliteStatement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return failure(sqlite3_errmsg(sqlite3_db_handle(statement_.get())));
}

std::uint64_t SqliteStatement::number(int column) const {
  return static_cast<std::uint64_t>(sqlite3_column_int64(statement_.get(), column));
}

std::string SqliteStatement::text(int column) const { return blob(column).value_or(""); }

std::optional<std::string> SqliteStatement::blob(int column) const {
  if (sqlite3_column_type(statement_.get(), column) == SQLITE_NULL) return std::nullopt;
  const void* bytes = sqlite3_column_blob(statement_.get(), column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return size == 0 ? std::string() : std::string(static_cast<const char*>(bytes), size);
}

Result<SqliteDatabase> SqliteDatabase::open(const std::filesystem::path& path) {
  return open_with(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
}

Result<SqliteDatabase> SqliteDatabase::open_existing(const std::filesystem::path& path) {
  return open_with(path, SQLITE_OPEN_READWRITE);
}

Result<SqliteDatabase> SqliteDatabase::open_with(const std::filesystem::path& path, int flags) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  SqliteDatabase database(handle);
  if (code != SQLITE_OK) return failure(handle ? sqlite3_errmsg(handle) : sqlite3_errstr(code));
  return database;
}

Result<SqliteStatement> SqliteDatabase::prepare(std::string_view sql) {
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()), &handle, nullptr);
  SqliteStatement statement(handle);
  if (code != SQLITE_OK) return failure(sqlite3_errmsg(database_.get()));
  return statement;
}

Status SqliteDatabase::run(const std::string& sql) {
  if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return failure(sqlite3_errmsg(database_.get()));
}

std::uint64_t SqliteDatabase::last_row() const {
  return static_cast<std::uint64_t>(sqlite3_last_insert_rowid(database_.get()));
}

Status SqliteDatabase::copy_to(SqliteDatabase& target) {
  sqlite3_backup* const backup = sqlite3_backup_init(target.database_.get(), "main", database_.get(), "main");
  if (backup == nullptr) return failure(sqlite3_errmsg(target.database_.get()));
  constexpr int kAllPages = -1;
  const int code = sqlite3_backup_step(backup, kAllPages);
  sqlite3_backup_finish(backup);
  if (code == SQLITE_DONE) return {};
  return failure(sqlite3_errstr(code));
}

}  // namespace evenkeel::rebalancer
