#include "agents/probe/probe_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <utility>

#include "agents/wire/limits.h"
#include "agents/wire/name.h"

namespace evenkeel::probe {
namespace {

/// A segment is what another process wrote: every size is held against its limit before it is used.
bool is_sound(const Header& header, std::size_t bytes) {
  const Geometry& g = header.geometry;
  const bool is_shape = g.layers >= 1 && g.layers <= wire::kLayersMax && g.experts >= 1 &&
                        g.experts <= wire::kExpertsMax && g.cells() <= wire::kCellsMax && g.top_k >= 1 &&
                        g.top_k <= wire::kTopKMax && g.slots_max <= wire::kSlotsMax &&
                        g.map_cells() <= wire::kCellsMax && g.batch_tokens <= kBatchTokens;
  return is_shape && header.bytes == bytes && Layout(g).end * sizeof(std::uint64_t) == bytes &&
         header.rank < header.world && header.world <= wire::kWorldMax && header.model.back() == 0 &&
         header.worker.back() == 0 && wire::validate_name("", header.model.data()) &&
         wire::validate_name("", header.worker.data());
}

std::optional<std::uint64_t> epoch_of(EpochWord word) {
  return word == 0 ? std::nullopt : std::optional(static_cast<std::uint64_t>(to_epoch(word)));
}

}  // namespace

Result<ProbeReader> ProbeReader::attach(const std::string& name) {
  EVENKEEL_TRY(segment, Segment::open(Segment::Kind::kProbe, name));
  auto* const header = reinterpret_cast<Header*>(segment.words());
  if (segment.bytes() < sizeof(Header) || header->magic.load(std::memory_order_acquire) != kMagic ||
      !is_sound(*header, segment.bytes())) {
    return invalid_input(fmt::format("probe {}: it is not complete, or not of this version; start its worker", name));
  }
  if (!segment.take(Segment::kGuest)) {
    return invalid_input(fmt::format("probe {}: another agent has it; stop that one", name));
  }
  return ProbeReader(name, std::move(segment));
}

ProbeReader::ProbeReader(std::string name, Segment segment)
    : name_(std::move(name)),
      segment_(std::move(segment)),
      header_(reinterpret_cast<Header*>(segment_.words())),
      geometry_(header_->geometry),
      layout_(geometry_),
      counts_(header_->counts, segment_.words() + layout_.counts, layout_.count_words),
      outbox_(*header_, geometry_, segment_.words() + layout_.mail) {}

ModelShape ProbeReader::shape() const {
  return {.layer_ids = {header_->layer_ids.begin(), header_->layer_ids.begin() + geometry_.layers},
          .experts = geometry_.experts,
          .hidden_layers = std::nullopt};
}

std::uint64_t ProbeReader::windows() {
  std::array<std::uint64_t, kCountsFrom> words{};
  static_cast<void>(counts_.read(words));
  return words[kWindow];
}

std::optional<Tally> ProbeReader::read() {
  // The number may be older than what is read, never newer.
  const std::uint64_t number = counts_.published();
  std::vector<std::uint64_t> words(layout_.count_words);
  if (!counts_.read(words)) return std::nullopt;
  Tally tally{.number = number,
              .steps = words[kSteps],
              .window = words[kWindow],
              .refused_calls = words[kRefusedCalls],
              .paths_dropped = words[kPathsDropped],
              .stages = {}};
  for (std::size_t s = 0; s < kStages; ++s) {
    const bool is_last_resort = s + 1 == kStages && tally.stages.empty();
    if (words[kTokens + s] == 0 && !is_last_resort) continue;
    Grid<std::uint64_t> counts(geometry_.layers, geometry_.experts);
    const auto from = words.begin() + static_cast<std::ptrdiff_t>(kCountsFrom + s * geometry_.cells());
    std::copy_n(from, geometry_.cells(), counts.cells().begin());
    tally.stages.push_back({static_cast<Stage>(s), words[kTokens + s], std::move(counts)});
  }
  return tally;
}

WorkerEpochs ProbeReader::epochs() const {
  WorkerEpochs epochs{.ready = epoch_of(header_->ready.load(std::memory_order_acquire)), .running = std::nullopt};
  const std::uint64_t number = header_->switches.load(std::memory_order_acquire);
  const Switch& last = header_->switch_of[number % 2];
  const auto epoch = epoch_of(last.epoch.load(std::memory_order_relaxed));
  if (number == 0 || !epoch) return epochs;
  epochs.running = {.epoch = *epoch,
                    .step = last.step.load(std::memory_order_relaxed),
                    .digest = last.digest.load(std::memory_order_relaxed)};
  return epochs;
}

std::vector<wire::Paths> ProbeReader::take_paths() {
  std::vector<wire::Paths> paths;
  if (header_->paths_one_in == 0) return paths;
  const std::uint64_t newest = header_->batches.load(std::memory_order_acquire);
  std::uint64_t taken = header_->batches_taken.load(std::memory_order_relaxed);
  if (newest - taken >= kBatches) {
    batches_lost_ += newest - taken - (kBatches - 1);
    taken = newest - (kBatches - 1);
  }
  while (taken < newest) take_batch(++taken, paths);
  header_->batches_taken.store(taken, std::memory_order_relaxed);
  header_->batches_wanted.store(newest + 1, std::memory_order_relaxed);
  return paths;
}

void ProbeReader::take_batch(std::uint64_t number, std::vector<wire::Paths>& paths) {
  Batch& batch = header_->batch[number % kBatches];
  std::vector<std::uint64_t> words(layout_.batch_words);
  const std::uint64_t mark = batch.mark.load(std::memory_order_acquire);
  const std::uint64_t tokens =
      std::min<std::uint64_t>(batch.tokens.load(std::memory_order_relaxed), geometry_.batch_tokens);
  const std::uint64_t window = batch.window.load(std::memory_order_relaxed);
  std::uint64_t* const from = segment_.words() + layout_.paths + (number % kBatches) * layout_.batch_words;
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = load_word(from + i);
  if (mark != 2 * number + 1 || batch.mark.load(std::memory_order_relaxed) != mark) {
    ++batches_lost_;
    return;
  }
  const auto* const cells = reinterpret_cast<const std::uint16_t*>(words.data());
  const std::uint16_t* const stages = cells + geometry_.layers * batch_row();
  // Stages alternate from step to step: a message for each change would fill the agent's queue.
  std::array<std::vector<std::size_t>, kStages> tokens_of;
  for (std::size_t token = 0; token < tokens; ++token) {
    tokens_of[std::min<std::size_t>(stages[token], kStages - 1)].push_back(token);
  }
  const std::size_t token_cells = std::size_t{geometry_.layers} * geometry_.top_k;
  const std::size_t tokens_max = std::max<std::size_t>(wire::kPathCellsMax / token_cells, 1);
  for (std::size_t stage = 0; stage < kStages; ++stage) {
    std::span<const std::size_t> left = tokens_of[stage];
    while (!left.empty()) {
      const auto some = left.first(std::min(left.size(), tokens_max));
      paths.push_back({.incarnation = header_->incarnation,
                       .sequence = 0,
                       .stage = static_cast<Stage>(stage),
                       .window = window,
                       .top_k = geometry_.top_k,
                       .one_in = header_->paths_one_in,
                       .experts = experts_of(cells, some)});
      left = left.subspan(some.size());
    }
  }
}

Grid<ExpertIndex> ProbeReader::experts_of(const std::uint16_t* cells, std::span<const std::size_t> tokens) const {
  Grid<ExpertIndex> experts(tokens.size(), std::size_t{geometry_.layers} * geometry_.top_k);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    for (std::size_t layer = 0; layer < geometry_.layers; ++layer) {
      std::copy_n(cells + layer * batch_row() + tokens[i] * geometry_.top_k, geometry_.top_k,
                  experts[i].begin() + static_cast<std::ptrdiff_t>(layer * geometry_.top_k));
    }
  }
  return experts;
}

}  // namespace evenkeel::probe
