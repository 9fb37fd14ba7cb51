#include "pipeline/profile/profiler.h"

#include <fmt/format.h>

#include <algorithm>

namespace evenkeel {
namespace {

constexpr std::size_t kWindowBytesMax = std::size_t{1} << 30;

Grid<std::uint64_t> with_experts(const Grid<std::uint64_t>& load, std::size_t experts) {
  Grid<std::uint64_t> resized(load.rows(), experts);
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    std::copy_n(load[layer].begin(), std::min(experts, load.cols()), resized[layer].begin());
  }
  return resized;
}

/// Experts up to the last that has any load.
std::size_t loaded_experts(const Grid<std::uint64_t>& load) {
  std::size_t experts = 0;
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    for (std::size_t expert = experts; expert < load.cols(); ++expert) {
      if (load(layer, expert) > 0) experts = expert + 1;
    }
  }
  return experts;
}

}  // namespace

Profiler::Profiler(ProfileOptions options)
    : options_(std::move(options)), cutter_(options_.window_unit, options_.window_size) {}

Status Profiler::begin(const std::string& path, const RecordingHeader& header) {
  if (!first_) {
    first_ = header;
    first_path_ = path;
    if (header.top_k > 0) sample_.emplace(header.layer_of_round.size() * header.top_k, options_.sample_tokens_max);
  }
  EVENKEEL_TRY_STATUS(check_same_model(*first_, header, first_path_, path));
  path_ = path;
  header_ = header;
  window_of_loads_.clear();
  cutter_.begin(path);
  are_experts_stated_ = are_experts_stated_ && header.experts.has_value();
  moe_layers_.insert(header.moe_layer_ids.begin(), header.moe_layer_ids.end());
  if (!hidden_layers_) hidden_layers_ = header.hidden_layers;
  return {};
}

bool Profiler::takes(const Key& key) const {
  return key.window >= options_.skip_windows && (!options_.stage || *options_.stage == key.stage);
}

Status Profiler::add(const Key& key, const Grid<std::uint64_t>& load) {
  auto& sum = windows_[key];
  if (sum.empty()) {
    if (windows_.size() * load.cells().size_bytes() > kWindowBytesMax) {
      return invalid_input(fmt::format("{}: the windows of the profile need more than {} GiB; make them larger", path_,
                                       kWindowBytesMax >> 30),
                           {"window_sequences"});
    }
    sum = load;
    return {};
  }
  if (sum.cols() < load.cols()) sum = with_experts(sum, load.cols());
  evenkeel::add(sum, load.cols() == sum.cols() ? load : with_experts(load, sum.cols()));
  return {};
}

Status Profiler::flush() {
  for (auto& [stage, counter] : counters_) {
    if (counter.has_counted()) EVENKEEL_TRY_STATUS(add({counted_window_, stage}, counter.take()));
  }
  return {};
}

Status Profiler::loads(StageLoad window) {
  EVENKEEL_TRY(number, cutter_.loads(static_cast<std::uint32_t>(window_of_loads_.size())));
  window_of_loads_.push_back({number, window.stage});
  if (takes(window_of_loads_.back())) return add(window_of_loads_.back(), window.load_tokens);
  see(window.load_tokens);
  return {};
}

Status Profiler::begin_sequence(const SequenceLabel& label) {
  Key key;
  counter_ = nullptr;
  if (header_.has_loads) {
    key = window_of_loads_[label.window.value_or(0)];
    is_taken_ = takes(key);
  } else {
    EVENKEEL_TRY(number, cutter_.sequence(label));
    key = {number, label.stage.value_or(Stage::kMixed)};
    is_taken_ = takes(key);
    if (number != counted_window_) EVENKEEL_TRY_STATUS(flush());
    counted_window_ = number;
    if (is_taken_) {
      const auto& rounds = first_->layer_of_round;
      counter_ = &counters_.try_emplace(key.stage, first_->layer_ids.size(), rounds, first_->top_k).first->second;
    }
  }
  sample_->begin_sequence(window_of_sequence_.size());
  window_of_sequence_.push_back(key);
  return {};
}

Status Profiler::tokens(std::span<const ExpertIndex> experts) {
  const std::uint64_t count = experts.size() / (first_->layer_of_round.size() * first_->top_k);
  tokens_read_ += count;
  cutter_.tokens(count);
  if (counter_ != nullptr) counter_->count(experts);
  if (is_taken_) sample_->offer(experts, header_.paths_one_in);
  if (!is_taken_ && !header_.has_loads) see(experts);
  return {};
}

void Profiler::see(const Grid<std::uint64_t>& load) {
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    if (std::ranges::any_of(load[layer], [](auto tokens) { return tokens > 0; }))
      moe_layers_.insert(first_->layer_ids[layer]);
  }
}

void Profiler::see(std::span<const ExpertIndex> experts) {
  if (moe_layers_.size() == first_->layer_ids.size()) return;
  const auto& rounds = first_->layer_of_round;
  for (std::size_t i = 0; i < experts.size(); ++i) {
    if (experts[i] != kNoExpert) moe_layers_.insert(first_->layer_ids[rounds[i / first_->top_k % rounds.size()]]);
  }
}

std::vector<int> Profiler::undecided_layers(const Trace& profile) const {
  std::vector<int> layers = unloaded_layers(profile);
  std::erase_if(layers, [this](int layer) { return moe_layers_.contains(layer); });
  return layers;
}

std::size_t Profiler::experts() const {
  if (are_experts_stated_) return first_->experts.value_or(0);
  std::size_t experts = first_->experts.value_or(0);
  for (const auto& [key, load] : windows_) experts = std::max(experts, loaded_experts(load));
  return experts;
}

void Profiler::give_paths(Trace& trace) const {
  std::map<Key, std::uint32_t> index;
  for (const auto& [key, load] : windows_) index.emplace(key, static_cast<std::uint32_t>(index.size()));
  trace.paths_one_in = sample_->one_in();
  trace.paths.top_k = first_->top_k;
  trace.paths.layer_of_round = first_->layer_of_round;
  trace.paths.experts = sample_->experts();
  const auto& sequences = sample_->sequences();
  for (std::size_t token = 0; token < sequences.size(); ++token) {
    if (token > 0 && sequences[token] == sequences[token - 1]) continue;
    trace.paths.sequence_start.push_back(token);
    trace.window_of_sequence.push_back(index.at(window_of_sequence_[sequences[token]]));
  }
  if (!sequences.empty()) trace.paths.sequence_start.push_back(sequences.size());
}

Result<Trace> Profiler::finish() {
  EVENKEEL_TRY_STATUS(flush());
  if (windows_.empty()) {
    return invalid_input(fmt::format("{}: nothing is left to profile; check skip and stage", first_path_),
                         {"skip", "stage"});
  }
  Trace trace;
  trace.shape = {first_->layer_ids, experts(), hidden_layers_};
  if (sample_) give_paths(trace);
  for (auto& [key, load] : windows_) {
    auto& window = trace.load_windows.emplace_back(StageLoad{.stage = key.stage});
    window.load_tokens = load.cols() == trace.shape.experts ? std::move(load) : with_experts(load, trace.shape.experts);
  }
  EVENKEEL_TRY_STATUS(check_loaded(trace, first_path_));
  trace.undecided_layers = undecided_layers(trace);
  return trace;
}

}  // namespace evenkeel
