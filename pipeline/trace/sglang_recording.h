#pragma once

#include <filesystem>
#include <span>

#include "partition/foundation/result.h"
#include "pipeline/trace/recording.h"

namespace evenkeel {

/// Reads what SGLang's expert distribution recorder dumped (`.pt` files, see torch_content;
/// docs/reference/formats.md) as one recording. Neither PyTorch nor Python is involved.
///
/// - stat, stat_approx: a window a step that counted anything, files in the order given.
/// - per_pass: a window a forward pass in ascending order of its number, summed over the files of all ranks; passes
///   without load are left out.
/// - per_token: token paths, pass by pass; a sequence is what a request adds in one prefill pass, or all tokens of a
/// rank
///   in one decode pass, for the recorder notes no request. The window is the number of the pass, counted from 0.
///
/// Memory: the index of all files and the tensors of one record. Fails with kInvalidInput: also where the files are of
/// different modes or models, or hold a pass of a rank twice.
[[nodiscard]] Status read_sglang_recording(std::span<const std::filesystem::path> files, const ReadOptions& options,
                                           RecordingSink& sink);

}  // namespace evenkeel
