#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "pipeline/trace/choice_rows.h"
#include "pipeline/trace/sglang_modes.h"

namespace evenkeel {
namespace {

/// Ids that are mapped and handed on at once.
constexpr std::size_t kPieceIds = std::size_t{1} << 18;

/// The ids of one rank in one pass.
struct RecordIds {
  std::string where;
  TensorData data;
  const Grid<ExpertIndex>& logical_of_physical;

  [[nodiscard]] std::size_t layers() const { return data.size()[0]; }
  [[nodiscard]] std::size_t tokens() const { return data.size()[1]; }
  [[nodiscard]] std::size_t columns() const { return data.size()[2]; }
  /// Fills `out` with the physical ids of a token in a layer, -1 for none.
  Status row(std::size_t layer, std::size_t token, std::span<std::int64_t> out) const;
};

Status RecordIds::row(std::size_t layer, std::size_t token, std::span<std::int64_t> out) const {
  const auto fraction = data.row(std::array{layer, token}, out);
  const auto slots = static_cast<std::int64_t>(logical_of_physical.cols());
  for (std::size_t column = 0; column < out.size(); ++column) {
    if (column == fraction || out[column] < -1 || out[column] >= slots) {
      return invalid_input(fmt::format("{}[{}, {}, {}] is {}; give a physical expert from 0 to {}, or -1 for none",
                                       where, layer, token, column, data.text(std::array{layer, token, column}),
                                       slots - 1));
    }
  }
  return {};
}

Result<RecordIds> read_ids(const SglangPart& part) {
  std::string where = fmt::format("{}: records[{}].topk_ids_of_layer", part.dump->path, part.record->number);
  EVENKEEL_TRY(data, part.dump->archive.read(part.record->tensor, where));
  return RecordIds{std::move(where), std::move(data), part.dump->logical_of_physical};
}

/// Whether a buffer was never written there: physical ids that are all one, which no router chooses.
bool is_unrecorded(std::span<const std::int64_t> row) {
  return row.size() > 1 && row[0] >= 0 && std::ranges::all_of(row, [&](std::int64_t id) { return id == row[0]; });
}

/// Columns up to the last that any token uses.
Result<std::size_t> used_columns(const RecordIds& ids) {
  std::size_t used = 0;
  std::vector<std::int64_t> row(ids.columns());
  for (std::size_t layer = 0; layer < ids.layers(); ++layer) {
    for (std::size_t token = 0; token < ids.tokens(); ++token) {
      EVENKEEL_TRY_STATUS(ids.row(layer, token, row));
      if (is_unrecorded(row)) continue;
      for (std::size_t column = row.size(); column > used; --column) {
        if (row[column - 1] >= 0) used = column;
      }
    }
  }
  return used;
}

/// Hands on the tokens of records as the header says they are.
class TokenWriter {
 public:
  TokenWriter(const RecordingHeader& header, const ReadOptions& options, RecordingSink& sink)
      : rounds_(header.layer_ids.size()), top_k_(header.top_k), options_(options), sink_(sink) {
    options_.experts = header.experts;
  }

  Status write(const SglangRecord& record, const RecordIds& ids, std::uint32_t window) {
    ChoiceRows rows(ids.where, rounds_, top_k_, options_, ChoiceRows::Order::kRoundToken);
    std::vector<std::uint32_t> sequences = record.sequence_tokens;
    if (sequences.empty()) sequences.push_back(static_cast<std::uint32_t>(ids.tokens()));
    std::size_t token = 0;
    for (const std::uint32_t length : sequences) {
      EVENKEEL_TRY_STATUS(sink_.begin_sequence({window, record.stage, std::nullopt}));
      EVENKEEL_TRY_STATUS(write_sequence(ids, token, token + length, rows));
      token += length;
    }
    return {};
  }

 private:
  Status write_sequence(const RecordIds& ids, std::size_t token, std::size_t end, ChoiceRows& rows) {
    const std::size_t piece = std::max<std::size_t>(1, kPieceIds / (rounds_ * top_k_));
    for (; token < end; token += piece) {
      EVENKEEL_TRY_STATUS(map_piece(ids, token, std::min(piece, end - token)));
      experts_.clear();
      EVENKEEL_TRY_STATUS(rows.append(std::span<const std::int64_t>(logical_), token * rounds_, experts_));
      EVENKEEL_TRY_STATUS(sink_.tokens(experts_));
    }
    return {};
  }

  /// Fills logical_ with tokens [first, first + count), layer by layer as they are stored.
  Status map_piece(const RecordIds& ids, std::size_t first, std::size_t count) {
    // A file may have fewer columns than the widest of the recording.
    const std::size_t columns = std::min(top_k_, ids.columns());
    physical_.resize(ids.columns());
    logical_.assign(count * rounds_ * top_k_, -1);
    for (std::size_t layer = 0; layer < rounds_; ++layer) {
      for (std::size_t token = 0; token < count; ++token) {
        EVENKEEL_TRY_STATUS(ids.row(layer, first + token, physical_));
        const auto row = std::span(logical_).subspan((token * rounds_ + layer) * top_k_, columns);
        EVENKEEL_TRY_STATUS(map_row(ids, layer, first + token, row));
      }
    }
    return {};
  }

  /// Maps physical_ to the first choices of a token; what was not recorded stays a row of equal ids, with top-1 none.
  Status map_row(const RecordIds& ids, std::size_t layer, std::size_t token, std::span<std::int64_t> out) const {
    if (is_unrecorded(physical_)) {
      const bool fills_row = top_k_ > 1 && out.size() == top_k_;
      std::ranges::fill(out, fills_row ? ids.logical_of_physical(layer, static_cast<std::size_t>(physical_[0])) : -1);
      return {};
    }
    for (std::size_t column = 0; column < out.size(); ++column) {
      const std::int64_t id = physical_[column];
      out[column] = id < 0 ? -1 : std::int64_t{ids.logical_of_physical(layer, static_cast<std::size_t>(id))};
    }
    if (!is_unrecorded(out)) return {};
    return invalid_input(
        fmt::format("{}[{}, {}] names expert {} twice, by its replicas; a token chooses an expert at most once: dump "
                    "before each rebalancing",
                    ids.where, layer, token, out[0]));
  }

  std::size_t rounds_;
  std::size_t top_k_;
  ReadOptions options_;
  RecordingSink& sink_;
  /// Of one token in one layer, all columns.
  std::vector<std::int64_t> physical_;
  std::vector<std::int64_t> logical_;
  std::vector<ExpertIndex> experts_;
};

}  // namespace

Status read_sglang_tokens(std::span<SglangDump> dumps, const ReadOptions& options, RecordingSink& sink) {
  const SglangDump& first = dumps.front();
  const std::vector<SglangPart> parts = records_in_order(dumps);
  EVENKEEL_TRY_STATUS(check_no_twins(parts));
  EVENKEEL_TRY(experts, real_experts(first.experts(), options, first.path));
  EVENKEEL_TRY(header, sglang_header(first.layers(), experts, options, first.path));
  ReadingProgress progress(options, 2 * parts.size());
  // The recorder always writes 8 columns, whatever the model's top-k.
  for (const SglangPart& part : parts) {
    EVENKEEL_TRY(ids, read_ids(part));
    EVENKEEL_TRY(used, used_columns(ids));
    header.top_k = std::max(header.top_k, used);
    progress.step();
  }
  if (header.top_k == 0)
    return invalid_input(
        fmt::format("{}: no token of topk_ids_of_layer has an expert; record some traffic first", first.path));
  header.layer_of_round.resize(header.layer_ids.size());
  std::iota(header.layer_of_round.begin(), header.layer_of_round.end(), 0U);
  EVENKEEL_TRY_STATUS(sink.begin(first.path, header));
  TokenWriter writer(header, options, sink);
  std::uint32_t window = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0 && parts[i].record->pass != parts[i - 1].record->pass) ++window;
    EVENKEEL_TRY(ids, read_ids(parts[i]));
    if (ids.tokens() > 0) EVENKEEL_TRY_STATUS(writer.write(*parts[i].record, ids, window));
    progress.step();
  }
  return sink.end();
}

}  // namespace evenkeel
