#include "pipeline/engine/torch_placement.h"

#include <fmt/format.h>

#include <array>

#include "pipeline/engine/placement_document.h"
#include "pipeline/trace/pickle_fields.h"
#include "pipeline/trace/reading.h"
#include "pipeline/trace/torch_archive.h"

namespace evenkeel {
namespace {

constexpr const char* kMapKey = "physical_to_logical_map";
/// As many as a JSON file of the largest size could hold.
constexpr std::int64_t kCellsMax = std::int64_t{1} << 24;

Result<nlohmann::json> map_rows_of(TorchArchive& archive, const StoredTensor& tensor, const std::string& where) {
  const bool is_accepted = tensor.size[0] >= 1 && tensor.size[0] <= static_cast<std::int64_t>(kLayersMax) &&
                           tensor.size[1] >= 1 && tensor.size[1] <= static_cast<std::int64_t>(kExpertsMax) &&
                           tensor.size[0] * tensor.size[1] <= kCellsMax;
  if (!is_accepted) {
    return invalid_input(
        fmt::format("{} has size ({}, {}); from 1 to {} layers and {} slots are accepted, {} "
                    "experts in all",
                    where, tensor.size[0], tensor.size[1], kLayersMax, kExpertsMax, kCellsMax));
  }
  EVENKEEL_TRY(data, archive.read(tensor, where));
  std::vector<std::int64_t> row(data.size()[1]);
  auto rows = nlohmann::json::array();
  for (std::size_t layer = 0; layer < data.size()[0]; ++layer) {
    if (const auto slot = data.row(std::array{layer}, row)) {
      return invalid_input(fmt::format("{}[{}, {}] is {}; give an expert number", where, layer, *slot,
                                       data.text(std::array{layer, *slot})));
    }
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

Result<nlohmann::json> read_torch_placement(const std::filesystem::path& path) {
  EVENKEEL_TRY(archive, TorchArchive::open(path));
  EVENKEEL_TRY(document, archive.document());
  if (std::holds_alternative<PickleTensor>(document.root())) return not_a_placement(path, "one tensor, as counts are");
  EVENKEEL_TRY(root, PickleFields::of(document, document.root(), path.string(), ": "));
  if (root.find("records") != nullptr || root.find("logical_count") != nullptr)
    return not_a_placement(path, "SGLang's recorded counts");
  EVENKEEL_TRY(tensor, root.tensor(kMapKey, 2));
  EVENKEEL_TRY(rows, map_rows_of(archive, tensor, root.where(kMapKey)));
  return nlohmann::json{{kMapKey, std::move(rows)}};
}

}  // namespace evenkeel
