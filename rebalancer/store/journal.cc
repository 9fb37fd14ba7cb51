#include "rebalancer/store/journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <system_error>

#include "agents/wire/codec.h"
#include "agents/wire/limits.h"

namespace evenkeel::rebalancer {
namespace {

constexpr std::uint64_t kVersion = 2;
constexpr std::uint64_t kEpochsKept = 256;
constexpr std::uint64_t kTermsKept = 256;
constexpr std::uint64_t kDecisionsKept = 4096;

constexpr std::array<std::string_view, 3> kKindNames{"PREPARE", "COMMIT", "ABORT"};

std::string_view name_of(RecordKind kind) { return kKindNames[static_cast<std::size_t>(kind)]; }

std::optional<RecordKind> kind_of(std::string_view name) {
  for (std::size_t kind = 0; kind < kKindNames.size(); ++kind) {
    if (kKindNames[kind] == name) return static_cast<RecordKind>(kind);
  }
  return std::nullopt;
}

// The wait is for whoever copies the file while it is in use.
constexpr const char* kSettings = "PRAGMA busy_timeout=2000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;";

constexpr const char* kTables = R"(
  CREATE TABLE IF NOT EXISTS term(term INTEGER PRIMARY KEY, started_utc TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS record(
    sequence INTEGER PRIMARY KEY,
    term INTEGER NOT NULL,
    model TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('PREPARE', 'COMMIT', 'ABORT')),
    placement BLOB,
    reason TEXT NOT NULL,
    written_utc TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS total(
    model TEXT NOT NULL,
    worker TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    report INTEGER NOT NULL,
    stage TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    layers INTEGER NOT NULL,
    counts BLOB NOT NULL,
    PRIMARY KEY(model, worker, stage));
  CREATE TABLE IF NOT EXISTS wish(name TEXT PRIMARY KEY, reason TEXT NOT NULL, since_utc TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS decision(
    sequence INTEGER PRIMARY KEY,
    term INTEGER NOT NULL,
    model TEXT NOT NULL,
    window INTEGER NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('adopt', 'keep')),
    reason TEXT NOT NULL,
    imbalance REAL NOT NULL,
    drift REAL NOT NULL,
    gain_seconds REAL,
    cost_seconds REAL,
    bound_seconds REAL,
    slots_moved INTEGER NOT NULL,
    written_utc TEXT NOT NULL);
  PRAGMA user_version = 2;
)";

static_assert(std::endian::native == std::endian::little, "counts are little-endian in the file");

std::string bytes_of(std::span<const std::uint64_t> cells) {
  std::string bytes(cells.size_bytes(), '\0');
  if (!cells.empty()) std::memcpy(bytes.data(), cells.data(), bytes.size());
  return bytes;
}

/// Columns stage, tokens, layers and counts from `column` on; none where they contradict each other.
std::optional<StageLoad> stage_load_of(const SqliteStatement& row, int column) {
  const auto stage = parse_stage(row.text(column));
  const std::uint64_t layers = row.number(column + 2);
  const std::string bytes = row.blob(column + 3).value_or("");
  const std::size_t cells = bytes.size() / sizeof(std::uint64_t);
  const bool is_table = layers > 0 && layers <= wire::kLayersMax && cells > 0 && cells <= wire::kCellsMax &&
                        cells % layers == 0 && bytes.size() % sizeof(std::uint64_t) == 0;
  if (!stage || !is_table) return std::nullopt;
  Grid<std::uint64_t> counts(layers, cells / layers);
  std::memcpy(counts.cells().data(), bytes.data(), bytes.size());
  return StageLoad{*stage, row.number(column + 1), std::move(counts)};
}

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
  // Two rebalancers on one journal would be two leaders.
  EVENKEEL_TRY(lock, FolderLock::take(folder));
  const std::filesystem::path path = folder / "journal.sqlite";
  auto database = SqliteDatabase::open(path);
  if (!database) return failure(fmt::format("{}: {}", path.string(), database.error().message));
  Journal journal(path.string(), std::move(lock), std::move(*database));
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
                      held ? "another program holds it: end that one"
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
  auto query = database_.prepare("SELECT term, epoch, kind, placement, reason, model FROM record ORDER BY sequence");
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
                       .model = row.text(5),
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
  return in_transaction([&]() -> Status {
    for (const JournalRecord& record : records) EVENKEEL_TRY_STATUS(insert(record));
    return {};
  });
}

Status Journal::append(const DecidedRecord& record) {
  return in_transaction([&] { return insert(record); });
}

template <class Inserts>
Status Journal::in_transaction(const Inserts& inserts) {
  Status status = database_.run("BEGIN IMMEDIATE");
  if (status) status = inserts();
  if (status) status = database_.run("COMMIT");
  if (status) return status;
  // A failed COMMIT leaves the transaction open; without one, ROLLBACK fails and changes nothing.
  static_cast<void>(database_.run("ROLLBACK"));
  return tl::unexpected(explain(status.error()));
}

Status Journal::insert(const JournalRecord& record) {
  auto insert = database_.prepare(
      "INSERT INTO record(term, epoch, kind, placement, reason, model, written_utc) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))");
  if (insert) {
    insert->bind(0, record.stamp.term);
    insert->bind(1, record.stamp.epoch);
    insert->bind(2, name_of(record.kind));
    insert->bind_blob(3, record.placement ? std::optional(wire::encode_placement(*record.placement)) : std::nullopt);
    insert->bind(4, record.reason);
    insert->bind(5, record.model);
  }
  EVENKEEL_TRY_STATUS(run_once(insert));
  if (record.kind == RecordKind::kPrepare) return {};
  if (record.kind == RecordKind::kAbort) EVENKEEL_TRY_STATUS(drop_map(record));
  auto forget = database_.prepare(
      "DELETE FROM record WHERE epoch + ?1 < ?2 AND model = ?3 AND epoch IS NOT "
      "(SELECT MAX(epoch) FROM record WHERE kind = 'COMMIT' AND model = ?3)");
  if (forget) {
    forget->bind(0, kEpochsKept);
    forget->bind(1, record.stamp.epoch);
    forget->bind(2, record.model);
  }
  return run_once(forget);
}

Status Journal::drop_map(const JournalRecord& aborted) {
  auto drop =
      database_.prepare("UPDATE record SET placement = NULL WHERE kind = 'PREPARE' AND epoch = ?1 AND model = ?2");
  if (drop) {
    drop->bind(0, aborted.stamp.epoch);
    drop->bind(1, aborted.model);
  }
  return run_once(drop);
}

Status Journal::insert(const DecidedRecord& record) {
  const DecisionRecord& decision = record.decision;
  auto insert = database_.prepare(
      "INSERT INTO decision(term, model, window, verdict, reason, imbalance, drift, gain_seconds, cost_seconds, "
      "bound_seconds, slots_moved, written_utc) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))");
  if (insert) {
    insert->bind(0, record.term);
    insert->bind(1, record.model);
    insert->bind(2, decision.window);
    insert->bind(3, decision.is_adopt ? "adopt" : "keep");
    insert->bind(4, decision.reason);
    insert->bind_real(5, decision.imbalance);
    insert->bind_real(6, decision.drift);
    insert->bind_real(7, decision.gain_seconds);
    insert->bind_real(8, decision.cost_seconds);
    insert->bind_real(9, decision.bound_seconds);
    insert->bind(10, std::uint64_t{decision.moves});
  }
  EVENKEEL_TRY_STATUS(run_once(insert));
  auto forget = database_.prepare("DELETE FROM decision WHERE sequence + ?1 < (SELECT MAX(sequence) FROM decision)");
  if (forget) forget->bind(0, kDecisionsKept);
  return run_once(forget);
}

Status Journal::keep(std::span<const TotalRecord> records) {
  return in_transaction([&]() -> Status {
    for (const TotalRecord& record : records) EVENKEEL_TRY_STATUS(replace(record));
    return {};
  });
}

Status Journal::replace(const TotalRecord& record) {
  auto forget = database_.prepare("DELETE FROM total WHERE model = ?1 AND worker = ?2");
  if (forget) {
    forget->bind(0, record.model);
    forget->bind(1, record.worker);
  }
  EVENKEEL_TRY_STATUS(run_once(forget));
  for (const StageLoad& stage : record.stages)
    EVENKEEL_TRY_STATUS(insert(record, stage_name(stage.stage), stage.tokens, stage.load_tokens));
  // The incarnation alone, so that an older one stays refused.
  if (record.stages.empty() && record.incarnation > 0) return insert(record, "", 0, {});
  return {};
}

Status Journal::insert(const TotalRecord& record, std::string_view stage, std::uint64_t tokens,
                       const Grid<std::uint64_t>& counts) {
  auto insert = database_.prepare(
      "INSERT INTO total(model, worker, incarnation, report, stage, tokens, layers, counts) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
  if (insert) {
    insert->bind(0, record.model);
    insert->bind(1, record.worker);
    insert->bind(2, record.incarnation);
    insert->bind(3, record.sequence);
    insert->bind(4, stage);
    insert->bind(5, tokens);
    insert->bind(6, std::uint64_t{counts.rows()});
    insert->bind_blob(7, bytes_of(counts.cells()));
  }
  return run_once(insert);
}

Result<std::vector<TotalRecord>> Journal::totals() {
  auto query = database_.prepare(
      "SELECT model, worker, incarnation, report, stage, tokens, layers, counts FROM total ORDER BY model, worker, "
      "stage");
  if (!query) return tl::unexpected(explain(query.error()));
  std::vector<TotalRecord> totals;
  while (true) {
    const auto more = query->step();
    if (!more) return tl::unexpected(explain(more.error()));
    if (!*more) return totals;
    if (totals.empty() || totals.back().model != query->text(0) || totals.back().worker != query->text(1)) {
      totals.push_back({.model = query->text(0),
                        .worker = query->text(1),
                        .incarnation = query->number(2),
                        .sequence = query->number(3),
                        .stages = {}});
    }
    if (query->text(4).empty()) continue;
    auto stage = stage_load_of(*query, 4);
    if (!stage) {
      return tl::unexpected(
          explain({ErrorCode::kFailure, fmt::format("the totals of worker '{}' are damaged", query->text(1))}));
    }
    totals.back().stages.push_back(*std::move(stage));
  }
}

Status Journal::set_wish(std::string_view name, const std::optional<std::string>& reason) {
  auto change = database_.prepare(reason ? "INSERT OR REPLACE INTO wish(name, reason, since_utc) "
                                           "VALUES (?1, ?2, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"
                                         : "DELETE FROM wish WHERE name = ?1");
  if (change) change->bind(0, name);
  if (change && reason) change->bind(1, *reason);
  if (auto status = run_once(change); !status) return tl::unexpected(explain(status.error()));
  return {};
}

Result<std::optional<std::string>> Journal::wish(std::string_view name) {
  auto query = database_.prepare("SELECT reason FROM wish WHERE name = ?1");
  if (!query) return tl::unexpected(explain(query.error()));
  query->bind(0, name);
  const auto found = query->step();
  if (!found) return tl::unexpected(explain(found.error()));
  return *found ? std::optional(query->text(0)) : std::nullopt;
}

}  // namespace evenkeel::rebalancer
