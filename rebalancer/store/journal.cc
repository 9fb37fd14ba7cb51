#include "rebalancer/store/journal.h"

#include <fmt/format.h>

#include <array>
#include <system_error>

#include "agents/wire/codec.h"

namespace evenkeel::rebalancer {
namespace {

constexpr std::uint64_t kVersion = 1;
constexpr std::uint64_t kEpochsKept = 256;
constexpr std::uint64_t kTermsKept = 256;

constexpr std::array<std::string_view, 3> kKindNames{"PREPARE", "COMMIT", "ABORT"};

std::string_view name_of(RecordKind kind) { return kKindNames[static_cast<std::size_t>(kind)]; }

std::optional<RecordKind> kind_of(std::string_view name) {
  for (std::size_t kind = 0; kind < kKindNames.size(); ++kind) {
    if (kKindNames[kind] == name) return static_cast<RecordKind>(kind);
  }
  return std::nullopt;
}

// EXCLUSIVE keeps the file locked while the connection lives: two rebalancers on one journal would be two leaders. The
// wait covers the end of a predecessor that was asked to stop.
constexpr const char* kSettings =
    "PRAGMA busy_timeout=2000; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;";

constexpr const char* kTables = R"(
  CREATE TABLE IF NOT EXISTS term(term INTEGER PRIMARY KEY, started_utc TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS record(
    sequence INTEGER PRIMARY KEY,
    term INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('PREPARE', 'COMMIT', 'ABORT')),
    placement BLOB,
    reason TEXT NOT NULL,
    written_utc TEXT NOT NULL);
  PRAGMA user_version = 1;
)";

Status run_once(Result<SqliteStatement>& statement) {
  if (!statement) return tl::unexpected(statement.error());
  EVENKEEL_TRY(row, statement->step());
  static_cast<void>(row);
  return {};
}

}  // namespace

Result<Journal> Journal::open(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return failure(fmt::format("--state {}: {}; give a folder that can be written", folder.string(), error.message()));
  }
  const std::filesystem::path path = folder / "journal.sqlite";
  auto database = SqliteDatabase::open(path);
  if (!database) return failure(fmt::format("{}: {}", path.string(), database.error().message));
  Journal journal(path.string(), std::move(*database));
  if (auto status = journal.prepare_file(); !status) return tl::unexpected(journal.explain(status.error()));
  return journal;
}

Status Journal::prepare_file() {
  EVENKEEL_TRY_STATUS(database_.run(kSettings));
  EVENKEEL_TRY(check, database_.prepare("PRAGMA quick_check"));
  EVENKEEL_TRY(found, check.step());
  if (!found || check.text(0) != "ok") return failure("database disk image is malformed");
  EVENKEEL_TRY_STATUS(check_version());
  return database_.run(fmt::format("BEGIN IMMEDIATE; {} COMMIT;", kTables));
}

Status Journal::check_version() {
  EVENKEEL_TRY(query, database_.prepare("PRAGMA user_version"));
  EVENKEEL_TRY(found, query.step());
  const std::uint64_t version = found ? query.number(0) : 0;
  if (version == 0 || version == kVersion) return {};
  return failure(fmt::format("it has version {}, this program writes {}", version, kVersion));
}

Error Journal::explain(const Error& error) const {
  const bool held = error.message.find("locked") != std::string::npos;
  return {ErrorCode::kFailure,
          fmt::format("{}: {}; {}", path_, error.message,
                      held ? "another rebalancer has it open: stop that one, or give another --state"
                           : "restore it from a copy, or give an empty folder as --state and restart the agents")};
}

Result<std::uint64_t> Journal::begin_term() {
  auto insert = database_.prepare("INSERT INTO term(started_utc) VALUES (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))");
  if (auto status = run_once(insert); !status) return tl::unexpected(explain(status.error()));
  const std::uint64_t term = database_.last_row();
  auto forget = database_.prepare("DELETE FROM term WHERE term + ?1 < ?2");
  if (forget) {
    forget->bind(0, kTermsKept);
    forget->bind(1, term);
  }
  if (auto status = run_once(forget); !status) return tl::unexpected(explain(status.error()));
  return term;
}

Result<std::vector<JournalRecord>> Journal::records() {
  auto query = database_.prepare("SELECT term, epoch, kind, placement, reason FROM record ORDER BY sequence");
  if (!query) return tl::unexpected(explain(query.error()));
  std::vector<JournalRecord> records;
  while (true) {
    const auto more = query->step();
    if (!more) return tl::unexpected(explain(more.error()));
    if (!*more) return records;
    auto record = read(*query);
    if (!record) return tl::unexpected(explain(record.error()));
    records.push_back(std::move(*record));
  }
}

Result<JournalRecord> Journal::read(const SqliteStatement& row) const {
  const auto kind = kind_of(row.text(2));
  if (!kind) return failure(fmt::format("a record is of kind {}", row.text(2)));
  JournalRecord record{.kind = *kind,
                       .stamp = {.term = row.number(0), .epoch = row.number(1)},
                       .placement = std::nullopt,
                       .reason = row.text(4)};
  if (const auto bytes = row.blob(3)) {
    auto placement = wire::decode_placement(*bytes);
    if (!placement) return failure(fmt::format("epoch {}: {}", record.stamp.epoch, placement.error().message));
    record.placement = std::move(*placement);
  }
  return record;
}

Status Journal::append(std::span<const JournalRecord> records) {
  auto status = insert_all(records);
  if (status) return status;
  // A failed COMMIT leaves the transaction open; without one, ROLLBACK fails and changes nothing.
  static_cast<void>(database_.run("ROLLBACK"));
  return tl::unexpected(explain(status.error()));
}

Status Journal::insert_all(std::span<const JournalRecord> records) {
  EVENKEEL_TRY_STATUS(database_.run("BEGIN IMMEDIATE"));
  for (const JournalRecord& record : records) EVENKEEL_TRY_STATUS(insert(record));
  return database_.run("COMMIT");
}

Status Journal::insert(const JournalRecord& record) {
  auto insert = database_.prepare(
      "INSERT INTO record(term, epoch, kind, placement, reason, written_utc) "
      "VALUES (?1, ?2, ?3, ?4, ?5, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))");
  if (insert) {
    insert->bind(0, record.stamp.term);
    insert->bind(1, record.stamp.epoch);
    insert->bind(2, name_of(record.kind));
    insert->bind_blob(3, record.placement ? std::optional(wire::encode_placement(*record.placement)) : std::nullopt);
    insert->bind(4, record.reason);
  }
  EVENKEEL_TRY_STATUS(run_once(insert));
  if (record.kind != RecordKind::kCommit) return {};
  auto forget = database_.prepare("DELETE FROM record WHERE epoch + ?1 < ?2");
  if (forget) {
    forget->bind(0, kEpochsKept);
    forget->bind(1, record.stamp.epoch);
  }
  return run_once(forget);
}

}  // namespace evenkeel::rebalancer
