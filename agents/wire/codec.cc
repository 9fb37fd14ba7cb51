#include "agents/wire/codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <msgpack.hpp>
#include <utility>

#include "agents/wire/field_reader.h"
#include "agents/wire/limits.h"
#include "partition/foundation/check.h"

namespace evenkeel::wire {
namespace {

// The longest array of any message; each field has its own limit in FieldReader.
constexpr std::size_t kArrayMax = std::max({kSlotsMax, kCopiesMax, kPathCellsMax});
static_assert(kStagesMax == kAllStages.size());

using Packer = msgpack::packer<msgpack::sbuffer>;

std::string bytes_of(const msgpack::sbuffer& buffer) { return {buffer.data(), buffer.size()}; }

std::uint32_t size32(std::size_t size) { return static_cast<std::uint32_t>(size); }

void pack_text(Packer& out, std::string_view text) {
  out.pack_str(size32(text.size()));
  out.pack_str_body(text.data(), size32(text.size()));
}

template <class Number>
void pack_field(Packer& out, std::string_view name, Number number) {
  pack_text(out, name);
  out.pack_uint64(static_cast<std::uint64_t>(number));
}

void pack_field(Packer& out, std::string_view name, std::string_view text) {
  pack_text(out, name);
  pack_text(out, text);
}

void pack_field(Packer& out, std::string_view name, const std::optional<std::uint64_t>& number) {
  pack_text(out, name);
  if (number) {
    out.pack_uint64(*number);
  } else {
    out.pack_nil();
  }
}

template <class Numbers>
void pack_row(Packer& out, const Numbers& numbers) {
  out.pack_array(size32(numbers.size()));
  for (const auto number : numbers) out.pack_uint64(static_cast<std::uint64_t>(number));
}

void pack_copies(Packer& out, std::string_view name, const std::vector<Copy>& copies) {
  pack_text(out, name);
  out.pack_array(size32(copies.size()));
  for (const Copy& copy : copies) pack_row(out, std::array{copy.layer, copy.expert, copy.from_gpu, copy.to_gpu});
}

template <class T>
void pack_table(Packer& out, std::string_view name, const Grid<T>& table) {
  pack_text(out, name);
  out.pack_array(size32(table.rows()));
  for (std::size_t row = 0; row < table.rows(); ++row) pack_row(out, table[row]);
}

void pack_stages(Packer& out, std::string_view name, const std::vector<StageLoad>& stages) {
  pack_text(out, name);
  out.pack_array(size32(stages.size()));
  for (const StageLoad& stage : stages) {
    out.pack_map(3);
    pack_field(out, "stage", stage_name(stage.stage));
    pack_field(out, "tokens", stage.tokens);
    pack_table(out, "counts", stage.load_tokens);
  }
}

void pack_losses(Packer& out, std::string_view name, const Losses& losses) {
  pack_text(out, name);
  out.pack_map(kLosses);
  for (std::size_t i = 0; i < kLosses; ++i) pack_field(out, loss_name(static_cast<Loss>(i)), losses.counts[i]);
}

void pack_placement(Packer& out, const Placement& placement) {
  const Placement::Fields& fields = placement.fields();
  EVENKEEL_CHECK(!fields.shares, "placements on the wire split evenly");
  out.pack_map(5);
  pack_text(out, "layer_ids");
  pack_row(out, fields.layer_ids);
  pack_field(out, "experts", fields.experts);
  pack_field(out, "nodes", fields.nodes);
  pack_text(out, "slots_of_gpu");
  pack_row(out, fields.slots_of_gpu);
  pack_table(out, "map", fields.expert_of_slot);
}

void pack_field(Packer& out, std::string_view name, const Placement& placement) {
  pack_text(out, name);
  pack_placement(out, placement);
}

void pack_stamp(Packer& out, const Stamp& stamp) {
  pack_field(out, "term", stamp.term);
  pack_field(out, "epoch", stamp.epoch);
}

/// Writes the fields of each message after "type" and "version".
struct FieldPacker {
  Packer& out;

  void operator()(const Hello& m) const {
    pack_field(out, "incarnation", m.incarnation);
    pack_field(out, "model_hash", m.model_hash);
    pack_field(out, "rank", m.rank);
    pack_field(out, "world", m.world);
    pack_text(out, "layer_ids");
    pack_row(out, m.layer_ids);
    pack_field(out, "experts", m.experts);
    pack_field(out, "term", m.term_seen);
    pack_field(out, "epoch", m.epoch_applied);
  }
  void operator()(const Snapshot& m) const {
    pack_stamp(out, m.stamp);
    pack_field(out, "placement", m.placement);
  }
  void operator()(const Report& m) const {
    pack_field(out, "incarnation", m.incarnation);
    pack_field(out, "sequence", m.sequence);
    pack_field(out, "epoch", m.epoch);
    pack_field(out, "window", m.window);
    pack_field(out, "steps", m.steps);
    pack_field(out, "last", std::uint64_t{m.is_last});
    pack_losses(out, "losses", m.losses);
    pack_stages(out, "stages", m.stages);
  }
  void operator()(const ReportAck& m) const {
    pack_stamp(out, m.committed);
    pack_field(out, "incarnation", m.incarnation);
    pack_field(out, "sequence", m.sequence);
    pack_field(out, "window_decided", m.window_decided);
  }
  void operator()(const Paths& m) const {
    pack_field(out, "incarnation", m.incarnation);
    pack_field(out, "sequence", m.sequence);
    pack_field(out, "stage", stage_name(m.stage));
    pack_field(out, "window", m.window);
    pack_field(out, "top_k", m.top_k);
    pack_field(out, "one_in", m.one_in);
    pack_table(out, "experts", m.experts);
  }
  void operator()(const Prepare& m) const {
    pack_stamp(out, m.stamp);
    pack_field(out, "base_epoch", m.base_epoch);
    pack_field(out, "deadline_ms", m.deadline_ms);
    pack_field(out, "placement", m.placement);
    pack_copies(out, "copies", m.copies);
    pack_field(out, "chain_left", m.chain_left);
  }
  void operator()(const Ready& m) const {
    pack_stamp(out, m.stamp);
    pack_field(out, "incarnation", m.incarnation);
  }
  void operator()(const Commit& m) const {
    pack_stamp(out, m.stamp);
    pack_field(out, "digest", m.digest);
  }
  void operator()(const Applied& m) const {
    pack_stamp(out, m.stamp);
    pack_field(out, "incarnation", m.incarnation);
    pack_field(out, "digest", m.digest);
    pack_field(out, "step", m.step);
  }
  void operator()(const Retire& m) const { pack_stamp(out, m.stamp); }
  void operator()(const Abort& m) const {
    pack_stamp(out, m.stamp);
    pack_field(out, "reason", std::string_view(m.reason).substr(0, kTextBytesMax));
  }
  void operator()(const Refusal& m) const {
    pack_stamp(out, m.known);
    pack_field(out, "reason", reason_name(m.reason));
    pack_field(out, "about", std::string_view(m.about).substr(0, kNameBytesMax));
    pack_field(out, "about_epoch", m.about_epoch);
    pack_field(out, "detail", std::string_view(m.detail).substr(0, kTextBytesMax));
  }
};

/// Fields of each message, "type" and "version" included, in the order of Message's alternatives.
constexpr std::array<std::uint32_t, std::variant_size_v<Message>> kFieldsOf{10, 5, 10, 7, 9, 9, 5, 5, 7, 4, 5, 8};

Stamp read_stamp(FieldReader& in) {
  return {.term = in.number("term", kNumberMax), .epoch = in.number("epoch", kNumberMax)};
}

std::vector<int> read_layer_ids(FieldReader& in) {
  const auto numbers = in.numbers("layer_ids", kLayersMax, kLayerNumberMax);
  std::vector<int> ids;
  std::transform(numbers.begin(), numbers.end(), std::back_inserter(ids), [](auto n) { return static_cast<int>(n); });
  return ids;
}

/// A table whose values were checked to fit.
Grid<ExpertIndex> narrowed(const Grid<std::uint64_t>& table) {
  Grid<ExpertIndex> experts(table.rows(), table.cols());
  std::transform(table.cells().begin(), table.cells().end(), experts.cells().begin(),
                 [](auto expert) { return static_cast<ExpertIndex>(expert); });
  return experts;
}

Result<Placement> read_placement(const msgpack::object& object) {
  FieldReader in(object, "placement");
  Placement::Fields fields{.layer_ids = read_layer_ids(in),
                           .experts = in.number("experts", kExpertsMax),
                           .nodes = in.number("nodes", kGpusMax),
                           .slots_of_gpu = {},
                           .expert_of_slot = {},
                           .shares = std::nullopt};
  for (const auto slots : in.numbers("slots_of_gpu", kGpusMax, kSlotsMax)) {
    fields.slots_of_gpu.push_back(static_cast<std::uint32_t>(slots));
  }
  const auto map = in.table("map", {.cols = kSlotsMax}, kExpertsMax - 1);
  if (fields.layer_ids.size() * fields.experts > kCellsMax) in.fail("has too many layers and experts");
  EVENKEEL_TRY_STATUS(in.finish());
  fields.expert_of_slot = narrowed(map);
  return Placement::create(std::move(fields));
}

std::optional<Placement> read_placement_field(FieldReader& in) {
  const msgpack::object* object = in.object("placement");
  if (!object) return std::nullopt;
  auto placement = read_placement(*object);
  if (placement) return std::move(*placement);
  in.fail("is refused: " + placement.error().message);
  return std::nullopt;
}

RefusalReason read_reason(FieldReader& in) {
  const std::string name = in.text("reason", kNameBytesMax);
  for (auto reason = RefusalReason::kUnknownAgent; reason <= RefusalReason::kConflict;
       reason = static_cast<RefusalReason>(static_cast<int>(reason) + 1)) {
    if (reason_name(reason) == name) return reason;
  }
  in.fail("field reason is not one this version knows");
  return RefusalReason::kUnknownAgent;
}

Stage read_stage(FieldReader& in) {
  const auto stage = parse_stage(in.text("stage", kNameBytesMax));
  if (!stage) in.fail("field stage is not prefill, decode or mixed");
  return stage.value_or(Stage::kMixed);
}

StageLoad read_stage_load(const msgpack::object& object, FieldReader& report) {
  FieldReader in(object, "stage of a report");
  StageLoad counts{.stage = read_stage(in),
                   .tokens = in.number("tokens", kTokensMax),
                   .load_tokens = in.table("counts", {.cols = kExpertsMax}, kTokensMax)};
  if (const auto status = in.finish(); !status) report.fail("is refused: " + status.error().message);
  return counts;
}

/// Of one shape, each stage once: what a reader of reports relies on.
bool is_one_report(const std::vector<StageLoad>& stages) {
  for (std::size_t i = 1; i < stages.size(); ++i) {
    const Grid<std::uint64_t>& table = stages[i].load_tokens;
    if (table.rows() != stages[0].load_tokens.rows() || table.cols() != stages[0].load_tokens.cols()) return false;
    if (std::any_of(stages.begin(), stages.begin() + static_cast<std::ptrdiff_t>(i),
                    [&](const StageLoad& other) { return other.stage == stages[i].stage; })) {
      return false;
    }
  }
  return true;
}

std::vector<StageLoad> read_stages(FieldReader& in) {
  std::vector<StageLoad> stages;
  for (const msgpack::object& object : in.array("stages", 1, kStagesMax)) {
    stages.push_back(read_stage_load(object, in));
  }
  if (!is_one_report(stages)) in.fail("field stages has a stage twice or tables of two shapes");
  return stages;
}

Losses read_losses(FieldReader& report) {
  const msgpack::object* object = report.object("losses");
  if (!object) return {};
  FieldReader in(*object, "losses of a report");
  Losses losses;
  for (std::size_t i = 0; i < kLosses; ++i) {
    losses.counts[i] = in.number(loss_name(static_cast<Loss>(i)), kNumberMax);
  }
  if (const auto status = in.finish(); !status) report.fail("is refused: " + status.error().message);
  return losses;
}

std::vector<Copy> read_copies(FieldReader& in) {
  std::vector<Copy> copies;
  const auto rows = in.rows("copies", kCopiesMax, 4, kNumberMax);
  copies.reserve(rows.rows());
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    const auto row = rows[i];
    if (row[0] >= kLayersMax || row[1] >= kExpertsMax || row[2] >= kGpusMax || row[3] >= kGpusMax) {
      in.fail("field copies names a layer, expert or GPU beyond the limits");
      return {};
    }
    copies.push_back({static_cast<std::uint32_t>(row[0]), static_cast<std::uint32_t>(row[1]),
                      static_cast<std::uint32_t>(row[2]), static_cast<std::uint32_t>(row[3])});
  }
  return copies;
}

Message read_hello(FieldReader& in) {
  Hello m{.incarnation = in.number("incarnation", kNumberMax),
          .model_hash = in.number("model_hash", ~std::uint64_t{0}),
          .rank = static_cast<std::uint32_t>(in.number("rank", kWorldMax - 1)),
          .world = static_cast<std::uint32_t>(in.number("world", kWorldMax)),
          .layer_ids = read_layer_ids(in),
          .experts = in.number("experts", kExpertsMax),
          .term_seen = in.number("term", kNumberMax),
          .epoch_applied = in.optional_number("epoch", kNumberMax)};
  if (m.rank >= m.world && !(m.is_observer() && m.rank == 0)) in.fail("field rank is not below world");
  if (std::adjacent_find(m.layer_ids.begin(), m.layer_ids.end(), std::greater_equal<>()) != m.layer_ids.end()) {
    in.fail("field layer_ids is not strictly ascending");
  }
  if (m.experts == 0 || m.layer_ids.size() * m.experts > kCellsMax) in.fail("has no experts, or too many cells");
  return m;
}

Message read_report(FieldReader& in) {
  return Report{.incarnation = in.number("incarnation", kNumberMax),
                .sequence = in.number("sequence", kNumberMax),
                .epoch = in.number("epoch", kNumberMax),
                .window = in.number("window", kNumberMax),
                .steps = in.number("steps", kNumberMax),
                .stages = read_stages(in),
                .is_last = in.number("last", 1) != 0,
                .losses = read_losses(in)};
}

Message read_report_ack(FieldReader& in) {
  return ReportAck{.committed = read_stamp(in),
                   .incarnation = in.number("incarnation", kNumberMax),
                   .sequence = in.number("sequence", kNumberMax),
                   .window_decided = in.number("window_decided", kNumberMax)};
}

Message read_paths(FieldReader& in) {
  Paths m{.incarnation = in.number("incarnation", kNumberMax),
          .sequence = in.number("sequence", kNumberMax),
          .stage = read_stage(in),
          .window = in.number("window", kNumberMax),
          .top_k = in.number("top_k", kTopKMax),
          .one_in = in.number("one_in", kOneInMax),
          .experts = {}};
  m.experts = narrowed(
      in.table("experts", {.rows = kPathCellsMax, .cols = kLayersMax * kTopKMax, .cells = kPathCellsMax}, kNoExpert));
  if (m.top_k == 0 || m.experts.cols() % m.top_k != 0) in.fail("field experts has rows that top_k does not divide");
  return m;
}

Message read_ready(FieldReader& in) {
  return Ready{.stamp = read_stamp(in), .incarnation = in.number("incarnation", kNumberMax)};
}

Message read_commit(FieldReader& in) {
  return Commit{.stamp = read_stamp(in), .digest = in.number("digest", ~std::uint64_t{0})};
}

Message read_applied(FieldReader& in) {
  return Applied{.stamp = read_stamp(in),
                 .incarnation = in.number("incarnation", kNumberMax),
                 .digest = in.number("digest", ~std::uint64_t{0}),
                 .step = in.number("step", kNumberMax)};
}

Message read_retire(FieldReader& in) { return Retire{.stamp = read_stamp(in)}; }

Message read_abort(FieldReader& in) {
  return Abort{.stamp = read_stamp(in), .reason = in.text("reason", kTextBytesMax)};
}

Message read_refusal(FieldReader& in) {
  return Refusal{.reason = read_reason(in),
                 .about = in.text("about", kNameBytesMax),
                 .about_epoch = in.optional_number("about_epoch", kNumberMax),
                 .known = read_stamp(in),
                 .detail = in.text("detail", kTextBytesMax)};
}

std::optional<Message> read_snapshot(FieldReader& in) {
  const Stamp stamp = read_stamp(in);
  auto placement = read_placement_field(in);
  if (!placement) return std::nullopt;
  return Snapshot{.stamp = stamp, .placement = std::move(*placement)};
}

std::optional<Message> read_prepare(FieldReader& in) {
  const Stamp stamp = read_stamp(in);
  const std::uint64_t base_epoch = in.number("base_epoch", kNumberMax);
  const std::uint64_t deadline_ms = in.number("deadline_ms", kDeadlineMsMax);
  auto placement = read_placement_field(in);
  auto copies = read_copies(in);
  const std::uint64_t chain_left = in.number("chain_left", kCopiesMax);
  if (!placement) return std::nullopt;
  const auto fits = [&](const Copy& copy) {
    return copy.layer < placement->layers() && copy.expert < placement->experts() &&
           copy.from_gpu < placement->gpus() && copy.to_gpu < placement->gpus();
  };
  if (!std::all_of(copies.begin(), copies.end(), fits)) in.fail("field copies names what the placement does not have");
  return Prepare{.stamp = stamp,
                 .base_epoch = base_epoch,
                 .deadline_ms = deadline_ms,
                 .placement = std::move(*placement),
                 .copies = std::move(copies),
                 .chain_left = static_cast<std::uint32_t>(chain_left)};
}

using Read = std::optional<Message> (*)(FieldReader&);
template <Message (*read)(FieldReader&)>
std::optional<Message> always(FieldReader& in) {
  return read(in);
}
constexpr std::array<std::pair<std::string_view, Read>, std::variant_size_v<Message>> kReaders{{
    {"hello", always<read_hello>},
    {"snapshot", read_snapshot},
    {"report", always<read_report>},
    {"report_ack", always<read_report_ack>},
    {"paths", always<read_paths>},
    {"prepare", read_prepare},
    {"ready", always<read_ready>},
    {"commit", always<read_commit>},
    {"applied", always<read_applied>},
    {"retire", always<read_retire>},
    {"abort", always<read_abort>},
    {"refusal", always<read_refusal>},
}};

Result<Message> read_message(const msgpack::object& object) {
  FieldReader in(object, "message");
  const std::uint64_t version = in.number("version", kNumberMax);
  const std::string type = in.text("type", kNameBytesMax);
  if (version != kVersion) in.fail(fmt::format("has version {}; this program speaks {}", version, kVersion));
  const auto reader = std::find_if(kReaders.begin(), kReaders.end(), [&](const auto& r) { return r.first == type; });
  if (reader == kReaders.end()) in.fail("has a type that this version does not know");
  std::optional<Message> message;
  if (reader != kReaders.end()) message = reader->second(in);
  EVENKEEL_TRY_STATUS(in.finish());
  EVENKEEL_CHECK(message, "a reader without a message has noted why");
  return std::move(*message);
}

/// The one place where msgpack's exceptions, bad_alloc among them, become an Error.
template <class Read>
auto unpack(std::string_view bytes, Read read) -> decltype(read(std::declval<const msgpack::object&>())) {
  if (bytes.size() > kFrameBytesMax) {
    return invalid_input(fmt::format("payload has {} bytes; at most {} are taken", bytes.size(), kFrameBytesMax));
  }
  try {
    // Strings: the longest field, so names and texts share its limit here; each field has its own in FieldReader.
    const msgpack::unpack_limit limit(kArrayMax, kFieldsMax, kTextBytesMax, 0, 0, kDepthMax);
    std::size_t used = 0;
    const msgpack::object_handle handle = msgpack::unpack(bytes.data(), bytes.size(), used, nullptr, nullptr, limit);
    if (used != bytes.size()) {
      return invalid_input(fmt::format("payload has {} bytes after its end", bytes.size() - used));
    }
    return read(handle.get());
  } catch (const std::exception& e) {
    return invalid_input(fmt::format("payload is not msgpack within the limits: {}", e.what()));
  }
}

}  // namespace

std::string encode(const Message& message) {
  msgpack::sbuffer buffer;
  Packer out(buffer);
  out.pack_map(kFieldsOf[message.index()]);
  pack_field(out, "type", type_name(message));
  pack_field(out, "version", kVersion);
  std::visit(FieldPacker{out}, message);
  return bytes_of(buffer);
}

Result<Message> decode(std::string_view payload) { return unpack(payload, read_message); }

std::string encode_placement(const Placement& placement) {
  msgpack::sbuffer buffer;
  Packer out(buffer);
  pack_placement(out, placement);
  return bytes_of(buffer);
}

Result<Placement> decode_placement(std::string_view bytes) { return unpack(bytes, read_placement); }

}  // namespace evenkeel::wire
