#pragma once

#include <algorithm>
#include <string>

#include "partition/foundation/check.h"
#include "pipeline/trace/recording.h"

namespace evenkeel::fuzz {

/// Keeps nothing and stops the program where a reader breaks the contract of RecordingSink.
class ContractSink : public RecordingSink {
 public:
  Status begin(const std::string&, const RecordingHeader& header) override {
    EVENKEEL_CHECK(!is_open_, "a recording ends before the next begins");
    is_open_ = true;
    in_sequence_ = false;
    header_ = header;
    EVENKEEL_CHECK(!header.layer_ids.empty() && header.layer_ids.front() >= 0, "layers have numbers");
    EVENKEEL_CHECK(std::ranges::adjacent_find(header.layer_ids, std::ranges::greater_equal()) == header.layer_ids.end(),
                   "layers ascend");
    EVENKEEL_CHECK(!header.experts || (*header.experts > 0 && *header.experts <= kExpertsMax), "experts are in range");
    EVENKEEL_CHECK(!header.has_loads || header.experts, "experts are given with loads");
    EVENKEEL_CHECK(header.has_loads || header.top_k > 0, "there are loads or token paths");
    for (const std::uint32_t layer : header.layer_of_round)
      EVENKEEL_CHECK(layer < header.layer_ids.size(), "rounds have layers");
    return {};
  }
  Status loads(StageLoad window) override {
    EVENKEEL_CHECK(is_open_ && header_.has_loads, "loads are announced");
    EVENKEEL_CHECK(window.load_tokens.rows() == header_.layer_ids.size(), "windows have the layers of the header");
    EVENKEEL_CHECK(window.load_tokens.cols() == *header_.experts, "windows have the experts of the header");
    return {};
  }
  Status begin_sequence(const SequenceLabel&) override {
    EVENKEEL_CHECK(is_open_ && header_.top_k > 0, "sequences are announced");
    in_sequence_ = true;
    return {};
  }
  Status tokens(std::span<const ExpertIndex> experts) override {
    EVENKEEL_CHECK(in_sequence_, "tokens belong to a sequence");
    EVENKEEL_CHECK(experts.size() % (header_.layer_of_round.size() * header_.top_k) == 0, "tokens are whole");
    return {};
  }
  Status end() override {
    EVENKEEL_CHECK(is_open_, "a recording begins before it ends");
    is_open_ = false;
    return {};
  }

 private:
  bool is_open_ = false;
  bool in_sequence_ = false;
  RecordingHeader header_;
};

}  // namespace evenkeel::fuzz
