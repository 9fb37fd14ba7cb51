#include "agents/probe/probe.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "agents/probe/banks.h"
#include "agents/probe/count_ids.h"
#include "agents/probe/mail.h"
#include "agents/probe/path_batches.h"
#include "agents/probe/replay_side.h"
#include "agents/probe/segment.h"
#include "agents/wire/limits.h"
#include "agents/wire/name.h"

namespace {

using namespace evenkeel;
using namespace evenkeel::probe;

// A cell of a sub-table counts to 2^32; long before, what it holds moves on.
constexpr std::uint64_t kIdsBeforeFold = std::uint64_t{1} << 31;

thread_local std::string last_error;

/// Rises over restarts of the machine too: milliseconds since 1970.
std::uint64_t new_incarnation() {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since_1970).count());
}

/// Of the segment that has this name; 0 where there is none.
std::uint64_t incarnation_before(const std::string& name) {
  const auto segment = Segment::open(Segment::Kind::kProbe, name);
  if (!segment || segment->bytes() < sizeof(Header)) return 0;
  const auto& header = *reinterpret_cast<const Header*>(segment->words());
  return header.magic.load(std::memory_order_acquire) == kMagic ? header.incarnation : 0;
}

struct Request {
  std::string name;
  Geometry geometry;
  ek_probe_options options{};
  std::string model;
  std::string worker;
  /// Of the worker whose name this one takes over.
  std::uint64_t incarnation_before = 0;
};

Status validate(const Request& r) {
  const Geometry& g = r.geometry;
  EVENKEEL_TRY_STATUS(validate_segment_name("probe name", r.name));
  EVENKEEL_TRY_STATUS(wire::validate_name("probe model", r.model));
  EVENKEEL_TRY_STATUS(wire::validate_name("probe worker", r.worker));
  if (g.layers < 1 || g.layers > wire::kLayersMax || g.experts < 1 || g.experts > wire::kExpertsMax ||
      g.cells() > wire::kCellsMax || g.top_k < 1 || g.top_k > wire::kTopKMax) {
    return invalid_input(fmt::format("probe {}: {} layers of {} experts, top-{}; at most {} of {}, {} in all, top-{}",
                                     r.name, g.layers, g.experts, g.top_k, wire::kLayersMax, wire::kExpertsMax,
                                     wire::kCellsMax, wire::kTopKMax));
  }
  if (g.slots_max < g.experts || g.slots_max > wire::kSlotsMax || g.map_cells() > wire::kCellsMax) {
    return invalid_input(fmt::format("probe {}: slots_max is {}; give {} to {}, and {} in all layers", r.name,
                                     g.slots_max, g.experts, wire::kSlotsMax, wire::kCellsMax));
  }
  if (r.options.rank >= r.options.world || r.options.world > wire::kWorldMax) {
    return invalid_input(fmt::format("probe {}: rank is {} of {}; give one below world, of at most {}", r.name,
                                     r.options.rank, r.options.world, wire::kWorldMax));
  }
  for (std::uint32_t i = 0; r.options.layer_ids && i < g.layers; ++i) {
    const std::int32_t id = r.options.layer_ids[i];
    if (id < (i == 0 ? 0 : r.options.layer_ids[i - 1] + 1) || static_cast<std::uint64_t>(id) > wire::kLayerNumberMax) {
      return invalid_input(fmt::format("probe {}: layer_ids[{}] is {}; give ascending numbers to {}", r.name, i, id,
                                       std::uint64_t{wire::kLayerNumberMax}));
    }
  }
  return {};
}

Request request_of(const char* name, std::uint32_t layers, std::uint32_t experts, std::uint32_t top_k,
                   const ek_probe_options* options) {
  Request r;
  r.name = name ? name : "";
  if (options) std::memcpy(&r.options, options, std::min(options->size, sizeof r.options));
  r.options.world = std::max(r.options.world, 1U);
  r.model = r.options.model ? r.options.model : "default";
  r.worker = r.options.worker ? r.options.worker : fmt::format("worker-{}", r.options.rank);
  const std::uint64_t most = layers == 0 ? 0 : wire::kCellsMax / layers;
  const auto slots =
      r.options.slots_max ? r.options.slots_max : std::min<std::uint64_t>(2 * std::uint64_t{experts}, most);
  r.geometry = {.layers = layers,
                .experts = experts,
                .top_k = top_k,
                .slots_max = static_cast<std::uint32_t>(slots),
                .batch_tokens = r.options.paths_one_in == 0 ? 0 : batch_tokens(layers, top_k)};
  return r;
}

void fill_header(Header& header, const Request& r, std::size_t bytes) {
  header.bytes = bytes;
  header.geometry = r.geometry;
  header.rank = r.options.rank;
  header.world = r.options.world;
  header.paths_one_in = r.options.paths_one_in;
  // Clocks are set back, and two starts may share a millisecond.
  header.incarnation = std::max(new_incarnation(), r.incarnation_before + 1);
  header.worker_process = getpid();
  r.model.copy(header.model.data(), r.model.size());
  r.worker.copy(header.worker.data(), r.worker.size());
  for (std::uint32_t i = 0; i < r.geometry.layers; ++i) {
    header.layer_ids[i] = r.options.layer_ids ? r.options.layer_ids[i] : static_cast<std::int32_t>(i);
  }
}

}  // namespace

/// The worker's side. Everything it needs is set aside when it is made.
struct ek_probe {
  ek_probe(Segment s, const Request& r)
      : segment(std::move(s)),
        name(r.name),
        geometry(r.geometry),
        layout(geometry),
        header(*new (segment.words()) Header),
        banks(header.counts, segment.words() + layout.counts, layout.count_words),
        sub_tables(std::size_t{geometry.layers} * layer_cells()),
        step_counts(geometry.cells()),
        totals(layout.count_words),
        layer_tokens(geometry.layers),
        paths(header, geometry, segment.words() + layout.paths, r.options.paths_one_in),
        inbox(header, geometry, segment.words() + layout.mail) {
    fill_header(header, r, segment.bytes());
    header.magic.store(kMagic, std::memory_order_release);
  }

  [[nodiscard]] std::size_t layer_cells() const { return kSubTables * sub_table_cells(geometry.experts); }
  [[nodiscard]] bool admits(std::uint32_t layer) {
    if (layer < geometry.layers) return true;
    ++totals[kRefusedCalls];
    return false;
  }
  template <class Id>
  void record(std::uint32_t layer, const Id* ids, std::size_t tokens);
  void fold();
  void publish();

  Segment segment;
  std::string name;
  bool is_replay = false;
  Geometry geometry;
  Layout layout;
  Header& header;
  Banks banks;
  /// Counts of the running step: [layers][kSubTables][sub_table_cells].
  std::vector<std::uint32_t> sub_tables;
  std::uint64_t ids_since_fold = 0;
  /// What came in bulk or was folded early [layers, experts].
  std::vector<std::uint64_t> step_counts;
  /// As a bank holds them; stages whose tables changed since each of the banks was written.
  std::vector<std::uint64_t> totals;
  unsigned stages_changed[2] = {0, 0};
  /// Tokens each layer has seen in the running step [layers].
  std::vector<std::uint64_t> layer_tokens;
  PathWriter paths;
  Inbox inbox;
};

template <class Id>
void ek_probe::record(std::uint32_t layer, const Id* ids, std::size_t tokens) {
  if (!admits(layer)) return;
  const std::size_t count = tokens * geometry.top_k;
  if (ids_since_fold + count > kIdsBeforeFold) fold();
  ids_since_fold += count;
  count_ids(ids, count, geometry.experts, sub_tables.data() + layer * layer_cells());
  paths.sample(layer, ids, layer_tokens[layer], tokens);
  layer_tokens[layer] += tokens;
}

/// Moves what the sub-tables hold into step_counts.
void ek_probe::fold() {
  const std::size_t stride = sub_table_cells(geometry.experts);
  for (std::size_t layer = 0; layer < geometry.layers; ++layer) {
    if (layer_tokens[layer] == 0) continue;
    std::uint32_t* const t = sub_tables.data() + layer * layer_cells();
    std::uint64_t* const into = step_counts.data() + layer * geometry.experts;
    for (std::size_t e = 0; e < geometry.experts; ++e) {
      into[e] += std::uint64_t{t[e]} + t[stride + e] + t[2 * stride + e] + t[3 * stride + e];
    }
    std::fill_n(t, layer_cells(), 0U);
  }
  ids_since_fold = 0;
}

void ek_probe::publish() {
  std::uint64_t* const bank = banks.begin();
  for (std::size_t word = 0; word < kCountsFrom; ++word) store_word(bank + word, totals[word]);
  const std::size_t which = header.counts.writing.load(std::memory_order_relaxed) % 2;
  for (std::size_t stage = 0; stage < kStages; ++stage) {
    if ((stages_changed[which] >> stage & 1U) == 0) continue;
    const std::size_t from = kCountsFrom + stage * geometry.cells();
    for (std::size_t word = from; word < from + geometry.cells(); ++word) store_word(bank + word, totals[word]);
  }
  stages_changed[which] = 0;
  banks.publish();
}

namespace evenkeel::probe {

void mark_replay(ek_probe& probe) { probe.is_replay = true; }

void mark_finished(ek_probe& probe) { probe.header.finished.store(1, std::memory_order_release); }

AgentWord agent_word(const ek_probe& probe) {
  const Header& header = probe.header;
  return {.windows_decided = header.windows_decided.load(std::memory_order_acquire),
          .alive_ms = header.agent_alive_ms.load(std::memory_order_relaxed),
          .is_released = header.released.load(std::memory_order_acquire) != 0};
}

std::uint64_t monotonic_ms() {
  const auto since_boot = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since_boot).count());
}

}  // namespace evenkeel::probe

const char* ek_probe_error(void) { return last_error.c_str(); }

ek_probe* ek_probe_open(const char* name, uint32_t layers, uint32_t experts, uint32_t top_k,
                        const ek_probe_options* options) {
  try {
    last_error.clear();
    Request request = request_of(name, layers, experts, top_k, options);
    const Status valid = validate(request);
    if (valid) request.incarnation_before = incarnation_before(request.name);
    auto segment = valid ? Segment::create(Segment::Kind::kProbe, request.name,
                                           Layout(request.geometry).end * sizeof(std::uint64_t))
                         : Result<Segment>(tl::unexpected(valid.error()));
    if (segment) return std::make_unique<ek_probe>(std::move(*segment), request).release();
    last_error = segment.error().message;
  } catch (const std::bad_alloc&) {
    last_error = "probe: there is no memory for its tables; free some";
  }
  return nullptr;
}

void ek_probe_close(ek_probe* probe) {
  if (!probe) return;
  // A forked child has a copy of the handle, not the segment.
  const bool is_owner = probe->header.worker_process == getpid();
  // Else the rest is for the next agent to report, which then removes it.
  const bool may_go = probe->is_replay || probe->header.agent_alive_ms.load(std::memory_order_relaxed) == 0;
  if (is_owner && may_go) Segment::remove(Segment::Kind::kProbe, probe->name);
  delete probe;
}

void ek_probe_record_ids_i32(ek_probe* probe, uint32_t layer, const int32_t* ids, size_t tokens) {
  probe->record(layer, ids, tokens);
}
void ek_probe_record_ids_i64(ek_probe* probe, uint32_t layer, const int64_t* ids, size_t tokens) {
  probe->record(layer, ids, tokens);
}
void ek_probe_record_ids_u8(ek_probe* probe, uint32_t layer, const uint8_t* ids, size_t tokens) {
  probe->record(layer, ids, tokens);
}

void ek_probe_record_counts(ek_probe* probe, uint32_t layer, const uint32_t* counts, size_t tokens) {
  if (!probe->admits(layer)) return;
  std::uint64_t* const into = probe->step_counts.data() + layer * probe->geometry.experts;
  for (std::size_t e = 0; e < probe->geometry.experts; ++e) into[e] += counts[e];
  probe->layer_tokens[layer] += tokens;
}

void ek_probe_end_step(ek_probe* probe, int stage) { ek_probe_end_steps(probe, stage, 1); }

void ek_probe_end_steps(ek_probe* probe, int stage, uint64_t steps) {
  const std::size_t s = stage >= 0 && static_cast<std::size_t>(stage) < kStages ? static_cast<std::size_t>(stage)
                                                                                : std::size_t{EK_STAGE_MIXED};
  probe->fold();
  std::uint64_t* const totals = probe->totals.data() + kCountsFrom + s * probe->geometry.cells();
  for (std::size_t cell = 0; cell < probe->geometry.cells(); ++cell) totals[cell] += probe->step_counts[cell];
  std::fill(probe->step_counts.begin(), probe->step_counts.end(), 0U);
  const std::uint64_t tokens = *std::max_element(probe->layer_tokens.begin(), probe->layer_tokens.end());
  std::fill(probe->layer_tokens.begin(), probe->layer_tokens.end(), 0U);
  probe->totals[kTokens + s] += tokens;
  probe->totals[kSteps] += steps;
  probe->totals[kPathsDropped] += probe->paths.end_step(s, tokens, probe->totals[kWindow]);
  for (unsigned& changed : probe->stages_changed) changed |= 1U << s;
  probe->publish();
}

void ek_probe_end_window(ek_probe* probe) {
  probe->paths.flush();
  ++probe->totals[kWindow];
  probe->publish();
}

int ek_probe_poll(ek_probe* probe, ek_epoch* out) { return probe->inbox.poll(*out); }

void ek_probe_ready(ek_probe* probe, int64_t epoch) { probe->inbox.ready(epoch); }

int64_t ek_probe_held(ek_probe* probe) { return probe->inbox.held(); }

void ek_probe_switched(ek_probe* probe, int64_t epoch, uint64_t step) { probe->inbox.switched(epoch, step); }

int64_t ek_probe_retired(const ek_probe* probe) {
  return to_epoch(probe->header.retired.load(std::memory_order_acquire));
}
