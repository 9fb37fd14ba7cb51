#include "pipeline/trace/sglang_dump.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "pipeline/trace/counts_table.h"
#include "pipeline/trace/half_float.h"
#include "pipeline/trace/pickle_fields.h"
#include "pipeline/trace/reading.h"

namespace evenkeel {
namespace {

constexpr std::int64_t kDumpLayersMax = 4096;
constexpr std::int64_t kColumnsMax = 256;
constexpr std::size_t kRecordsMax = std::size_t{1} << 20;
/// Sequences of all records of a file together.
constexpr std::size_t kDumpSequencesMax = std::size_t{1} << 24;
/// 10^12 tokens: months of one expert at full speed. Sums over slots, ranks and passes stay below 2^64.
constexpr std::int64_t kDumpCountMax = std::int64_t{1} << 40;
// SGLang's ForwardMode.
constexpr std::int64_t kForwardExtend = 1;
constexpr std::int64_t kForwardDecode = 2;
constexpr std::int64_t kForwardMixed = 3;

Status check_size(const StoredTensor& tensor, std::size_t layer_dimension, const std::string& where) {
  const std::int64_t layers = tensor.size[layer_dimension];
  const std::int64_t experts = tensor.size.back();
  if (layers >= 1 && layers <= kDumpLayersMax && experts >= 1 && experts <= static_cast<std::int64_t>(kExpertsMax))
    return {};
  return invalid_input(fmt::format("{} has size ({}); from 1 to {} layers and {} experts are accepted", where,
                                   fmt::join(tensor.size, ", "), kDumpLayersMax, kExpertsMax));
}

/// Fills `out` with a row; returns its first element that is no whole number from 0 to `most`.
std::optional<std::size_t> first_outside(const TensorData& data, std::span<const std::size_t> indices,
                                         std::int64_t most, std::span<std::int64_t> out) {
  const auto fraction = data.row(indices, out);
  const auto whole = out.first(fraction.value_or(out.size()));
  const auto bad = std::ranges::find_if(whole, [&](std::int64_t value) { return value < 0 || value > most; });
  if (bad != whole.end()) return static_cast<std::size_t>(bad - whole.begin());
  return fraction;
}

Result<Grid<ExpertIndex>> read_map(TorchArchive& archive, const StoredTensor& tensor, const std::string& where) {
  EVENKEEL_TRY_STATUS(check_size(tensor, 0, where));
  EVENKEEL_TRY(data, archive.read(tensor, where));
  Grid<ExpertIndex> map(data.size()[0], data.size()[1]);
  std::vector<std::int64_t> row(map.cols());
  for (std::size_t layer = 0; layer < map.rows(); ++layer) {
    // Every expert has a slot, so there are no more experts than slots.
    if (const auto slot = first_outside(data, std::array{layer}, tensor.size[1] - 1, row)) {
      return invalid_input(fmt::format("{}[{}, {}] is {}; give an expert from 0 to {}, as there are {} slots", where,
                                       layer, *slot, data.text(std::array{layer, *slot}), row.size() - 1, row.size()));
    }
    std::transform(row.begin(), row.end(), map[layer].begin(), [](auto id) { return static_cast<ExpertIndex>(id); });
  }
  return map;
}

/// Reads `extend_seq_lens`, the tokens each sequence of a pass adds; none where there is no such list.
Result<std::vector<std::uint32_t>> sequence_tokens(const PickleDocument& document, const PickleFields& fields,
                                                   std::size_t tokens) {
  const PickleValue* const value = fields.find("extend_seq_lens");
  std::vector<std::uint32_t> lengths;
  if (value == nullptr || std::holds_alternative<PickleNone>(*value)) return lengths;
  EVENKEEL_TRY(list, fields.list("extend_seq_lens"));
  std::size_t sum = 0;
  for (const PickleValue& entry : document.list(list)) {
    const auto* const length = std::get_if<std::int64_t>(&entry);
    // Sequences without a token would let a short recording grow without end.
    if (length == nullptr || *length < 1 || static_cast<std::uint64_t>(*length) > tokens - sum) {
      return invalid_input(
          fmt::format("{} holds {} after {} of the pass's {} tokens; give whole numbers above 0 that "
                      "add up to these",
                      fields.where("extend_seq_lens"), document.brief(entry), sum, tokens));
    }
    sum += static_cast<std::size_t>(*length);
    lengths.push_back(static_cast<std::uint32_t>(*length));
  }
  if (!lengths.empty() && sum != tokens)
    return invalid_input(fmt::format("{} adds up to {} tokens but the pass has {}; record it again",
                                     fields.where("extend_seq_lens"), sum, tokens));
  return lengths;
}

Result<std::optional<Stage>> stage_of(const PickleFields& fields) {
  if (fields.find("forward_mode") == nullptr) return std::nullopt;
  EVENKEEL_TRY(mode, fields.integer("forward_mode"));
  if (mode == kForwardExtend) return Stage::kPrefill;
  if (mode == kForwardDecode) return Stage::kDecode;
  return Stage::kMixed;
}

/// What the tokens of a pass went through, and how they fall into sequences.
Status read_tokens(const PickleDocument& document, const PickleFields& fields, SglangRecord& record) {
  EVENKEEL_TRY(ids, fields.tensor("topk_ids_of_layer", 3));
  EVENKEEL_TRY_STATUS(check_size(ids, 0, fields.where("topk_ids_of_layer")));
  if (ids.size[2] > kColumnsMax || ids.size[1] > std::int64_t{0xFFFFFFFF}) {
    return invalid_input(fmt::format("{} has size ({}); at most {} ids a token are accepted",
                                     fields.where("topk_ids_of_layer"), fmt::join(ids.size, ", "), kColumnsMax));
  }
  record.tensor = std::move(ids);
  EVENKEEL_TRY(stage, stage_of(fields));
  record.stage = stage;
  // Only where sequences are extended do the lengths speak of this pass.
  const PickleValue* const mode = fields.find("forward_mode");
  const auto* const number = mode == nullptr ? nullptr : std::get_if<std::int64_t>(mode);
  if (number != nullptr && *number != kForwardExtend && *number != kForwardMixed) return {};
  EVENKEEL_TRY(lengths, sequence_tokens(document, fields, static_cast<std::size_t>(record.tensor.size[1])));
  record.sequence_tokens = std::move(lengths);
  return {};
}

Result<SglangRecord> read_record(const PickleDocument& document, const PickleFields& fields, SglangMode mode) {
  SglangRecord record;
  EVENKEEL_TRY(pass, fields.integer("forward_pass_id"));
  EVENKEEL_TRY(rank, fields.integer("rank"));
  EVENKEEL_TRY(gatherer, fields.text("gatherer_key"));
  record.pass = pass;
  record.rank = rank;
  record.gatherer_key = gatherer;
  if (mode == SglangMode::kPerToken) {
    EVENKEEL_TRY_STATUS(read_tokens(document, fields, record));
    return record;
  }
  EVENKEEL_TRY(counts, fields.tensor("global_physical_count", 2));
  record.tensor = std::move(counts);
  return record;
}

Status check_record_size(const SglangRecord& record, const Grid<ExpertIndex>& map, const PickleFields& fields,
                         SglangMode mode) {
  const bool is_per_pass = mode == SglangMode::kPerPass;
  const bool fits = record.tensor.size[0] == static_cast<std::int64_t>(map.rows()) &&
                    (!is_per_pass || record.tensor.size[1] == static_cast<std::int64_t>(map.cols()));
  if (fits) return {};
  return invalid_input(fmt::format("{} has size ({}) but last_physical_to_logical_map is {} x {}; record it again",
                                   fields.where(is_per_pass ? "global_physical_count" : "topk_ids_of_layer"),
                                   fmt::join(record.tensor.size, ", "), map.rows(), map.cols()));
}

Status read_records(const PickleDocument& document, const PickleFields& root, SglangDump& dump) {
  EVENKEEL_TRY(list, root.list("records"));
  EVENKEEL_TRY(map_tensor, root.tensor("last_physical_to_logical_map", 2));
  EVENKEEL_TRY(map, read_map(dump.archive, map_tensor, root.where("last_physical_to_logical_map")));
  dump.logical_of_physical = std::move(map);
  const auto records = document.list(list);
  if (records.size() > kRecordsMax)
    return invalid_input(fmt::format("{} holds {} passes; at most {} are accepted: dump more often",
                                     root.where("records"), records.size(), kRecordsMax));
  std::size_t sequences = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    EVENKEEL_TRY(fields, PickleFields::of(document, records[i], fmt::format("{}[{}]", root.where("records"), i), "."));
    const auto mode = fields.find("topk_ids_of_layer") != nullptr ? SglangMode::kPerToken : SglangMode::kPerPass;
    if (dump.mode.value_or(mode) != mode)
      return invalid_input(fmt::format("{} differs in mode from the records before; give a dump of one server run",
                                       fields.where("topk_ids_of_layer")));
    dump.mode = mode;
    EVENKEEL_TRY(record, read_record(document, fields, mode));
    EVENKEEL_TRY_STATUS(check_record_size(record, dump.logical_of_physical, fields, mode));
    record.number = i;
    sequences += record.sequence_tokens.size();
    if (sequences > kDumpSequencesMax)
      return invalid_input(
          fmt::format("{} holds more than {} sequences; dump more often", root.where("records"), kDumpSequencesMax));
    dump.records.push_back(std::move(record));
  }
  return {};
}

/// Reads logical_count, with or without steps; what stands beside it does not matter.
Status read_stat(const PickleDocument& document, const PickleFields& root, SglangDump& dump) {
  constexpr std::string_view kCounts = "logical_count";
  if (root.find(kCounts) == nullptr && root.find("physical_to_logical_map") != nullptr) {
    return invalid_input(fmt::format(
        "{}: it is a placement, not a recording; read it with evenkeel convert or give it as a placement", dump.path));
  }
  EVENKEEL_TRY(value, root.at(kCounts));
  const auto* const id = std::get_if<PickleTensor>(&value);
  dump.is_one_step = id != nullptr && document.tensor(*id).size.size() == 2;
  EVENKEEL_TRY(counts, root.tensor(kCounts, dump.is_one_step ? 2 : 3));
  if (dump.is_one_step) {
    counts.size.insert(counts.size.begin(), 1);
    counts.stride.insert(counts.stride.begin(), 0);
  }
  EVENKEEL_TRY_STATUS(check_size(counts, 1, root.where(kCounts)));
  dump.logical_count = std::move(counts);
  return {};
}

}  // namespace

std::size_t SglangDump::layers() const {
  return mode == SglangMode::kStat ? static_cast<std::size_t>(logical_count.size[1]) : logical_of_physical.rows();
}

std::size_t SglangDump::experts() const {
  if (mode == SglangMode::kStat) return static_cast<std::size_t>(logical_count.size[2]);
  return std::size_t{*std::ranges::max_element(logical_of_physical.cells())} + 1;
}

Result<SglangDump> open_sglang_dump(const std::filesystem::path& path) {
  EVENKEEL_TRY(archive, TorchArchive::open(path));
  EVENKEEL_TRY(document, archive.document());
  EVENKEEL_TRY(root, PickleFields::of(document, document.root(), path.string(), ": "));
  SglangDump dump{path.string(), std::move(archive), std::nullopt, {}, false, {}, {}};
  if (root.find("records") != nullptr) {
    EVENKEEL_TRY_STATUS(read_records(document, root, dump));
    return dump;
  }
  EVENKEEL_TRY_STATUS(read_stat(document, root, dump));
  dump.mode = SglangMode::kStat;
  return dump;
}

Result<std::size_t> real_experts(std::size_t found, const ReadOptions& options, const std::string& path) {
  if (!options.experts && found > options.null_experts) return found - options.null_experts;
  if (options.experts && (found == *options.experts || found == *options.experts + options.null_experts))
    return *options.experts;
  return invalid_input(
      fmt::format("{}: it has {} experts a layer, which is not {} and {} null ones; make experts and the "
                  "model agree with it{}",
                  path, found, options.experts.value_or(1), options.null_experts,
                  fused_expert_hint(found, options.experts.value_or(0) + options.null_experts)),
      {"experts", "model"});
}

Result<RecordingHeader> sglang_header(std::size_t layers, std::size_t experts, const ReadOptions& options,
                                      const std::string& path) {
  if (options.hidden_layers && *options.hidden_layers != layers)
    return invalid_input(fmt::format("{}: it has {} layers but the model has {}; give the model of this recording",
                                     path, layers, *options.hidden_layers));
  RecordingHeader header;
  header.layer_ids.resize(layers);
  std::iota(header.layer_ids.begin(), header.layer_ids.end(), 0);
  header.hidden_layers = layers;
  header.experts = experts;
  return header;
}

Status check_counts_size(const StoredTensor& counts, const std::string& where) {
  return check_size(counts, counts.size.size() - 2, where);
}

Status read_counts(const TensorData& counts, std::span<const std::size_t> indices, const std::string& place,
                   std::span<std::int64_t> out) {
  const auto bad = first_outside(counts, indices, kDumpCountMax, out);
  if (!bad) return {};
  std::vector<std::size_t> at(indices.begin(), indices.end());
  at.push_back(*bad);
  return invalid_input(fmt::format("{}, {}] is {}; give a whole number of tokens from 0 to {}", place, *bad,
                                   counts.text(at), kDumpCountMax));
}

void note_inexact_counts(const StoredTensor& counts, const std::string& where, const ReadOptions& options) {
  if (!options.note) return;
  if (counts.storage.type == StorageType::kBfloat16)
    options.note(inexact_counts_note(where, "bfloat16", kBfloat16WholeMax));
  if (counts.storage.type == StorageType::kFloat16)
    options.note(inexact_counts_note(where, "float16", kFloat16WholeMax));
}

}  // namespace evenkeel
