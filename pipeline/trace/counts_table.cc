#include "pipeline/trace/counts_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <vector>

#include "pipeline/trace/reading.h"
#include "pipeline/trace/sglang_dump.h"
#include "pipeline/trace/torch_archive.h"

namespace evenkeel {

std::string inexact_counts_note(const std::string& where, const std::string& type, int whole_max) {
  return fmt::format("{} is {}, which holds whole numbers up to {} only: larger counts were rounded when it was saved",
                     where, type, whole_max);
}

Status hand_on_counts(const std::string& path, const Grid<std::uint64_t>& counts, const ReadOptions& options,
                      RecordingSink& sink) {
  EVENKEEL_TRY_STATUS(check_experts(path, counts.cols(), options));
  EVENKEEL_TRY(layers, number_rows(counts.rows(), options, path));
  RecordingHeader header;
  header.layer_ids = layers.layer_ids;
  header.experts = counts.cols();
  header.has_loads = true;
  StageLoad window{.load_tokens = Grid<std::uint64_t>(header.layer_ids.size(), counts.cols())};
  for (std::size_t row = 0; row < counts.rows(); ++row) {
    const auto layer = layers.layer_of_row[row];
    for (std::size_t expert = 0; layer && expert < counts.cols(); ++expert)
      window.load_tokens(*layer, expert) += counts(row, expert);
  }
  if (std::ranges::all_of(window.load_tokens.cells(), [](auto tokens) { return tokens == 0; }))
    return invalid_input(fmt::format("{}: all its counts are zero; record some traffic first", path));
  EVENKEEL_TRY_STATUS(sink.begin(path, header));
  EVENKEEL_TRY_STATUS(sink.loads(std::move(window)));
  return sink.end();
}

Status read_torch_counts(const std::filesystem::path& file, const ReadOptions& options, RecordingSink& sink) {
  const std::string path = file.string();
  EVENKEEL_TRY(archive, TorchArchive::open(file));
  EVENKEEL_TRY(document, archive.document());
  const auto* const id = std::get_if<PickleTensor>(&document.root());
  const TensorReference* const reference = id == nullptr ? nullptr : &document.tensor(*id);
  if (reference == nullptr || reference->size.size() != 2) {
    return invalid_input(
        fmt::format("{}: it is {}; give a tensor of counts [layers, experts], or a dictionary with logical_count", path,
                    reference == nullptr ? document.brief(document.root())
                                         : fmt::format("a tensor of size ({})", fmt::join(reference->size, ", "))));
  }
  const StoredTensor tensor{document.storage(reference->storage), reference->offset, reference->size,
                            reference->stride};
  const std::string where = fmt::format("{}: its tensor", path);
  EVENKEEL_TRY_STATUS(check_counts_size(tensor, where));
  EVENKEEL_TRY(data, archive.read(tensor, where));
  Grid<std::uint64_t> counts(data.size()[0], data.size()[1]);
  std::vector<std::int64_t> row(counts.cols());
  for (std::size_t layer = 0; layer < counts.rows(); ++layer) {
    EVENKEEL_TRY_STATUS(read_counts(data, std::array{layer}, fmt::format("{}[{}", where, layer), row));
    std::ranges::copy(row, counts[layer].begin());
  }
  note_inexact_counts(tensor, where, options);
  return hand_on_counts(path, counts, options, sink);
}

}  // namespace evenkeel
