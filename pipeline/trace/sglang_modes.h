#pragma once

#include <span>
#include <vector>

#include "partition/foundation/result.h"
#include "pipeline/trace/recording.h"
#include "pipeline/trace/sglang_dump.h"

namespace evenkeel {

/// A record and the dump it is in.
struct SglangPart {
  SglangDump* dump;
  const SglangRecord* record;
};

/// Records of all dumps by pass, rank and gatherer.
[[nodiscard]] std::vector<SglangPart> records_in_order(std::span<SglangDump> dumps);

/// Fails with kInvalidInput where a pass has two records of a rank and gatherer.
[[nodiscard]] Status check_no_twins(std::span<const SglangPart> parts);

/// Tells how much is read, at most a hundred times.
class ReadingProgress {
 public:
  ReadingProgress(const ReadOptions& options, std::size_t steps) : tell_(options.progress), steps_(steps) {}
  void step();

 private:
  const std::function<void(double)>& tell_;
  std::size_t steps_;
  std::size_t done_ = 0;
};

// The modes of read_sglang_recording; the dumps are of one mode and shape.
[[nodiscard]] Status read_sglang_stat(std::span<SglangDump> dumps, const ReadOptions& options, RecordingSink& sink);
[[nodiscard]] Status read_sglang_passes(std::span<SglangDump> dumps, const ReadOptions& options, RecordingSink& sink);
[[nodiscard]] Status read_sglang_tokens(std::span<SglangDump> dumps, const ReadOptions& options, RecordingSink& sink);

}  // namespace evenkeel
