#include <fmt/format.h>

#include "pipeline/trace/pickle_globals.h"
#include "pipeline/trace/unpickler.h"

namespace evenkeel {
namespace {

// What things cost, in values.
constexpr std::size_t kStorageCost = 6;
constexpr std::size_t kTensorCost = 16;
constexpr std::size_t kPickledDimensionsMax = 8;

}  // namespace

Status Unpickler::push_storage() {
  EVENKEEL_TRY(value, pop());
  const auto* const id = std::get_if<PickleTuple>(&value);
  // ("storage", type, key, device, elements); the device does not matter here, and the archive knows the length.
  const auto fields = id == nullptr ? std::span<const PickleValue>() : document_.tuple(*id);
  const auto* const kind = fields.size() == 5 ? std::get_if<PickleText>(&fields[0]) : nullptr;
  if (kind == nullptr || document_.text(*kind) != "storage")
    return error(
        fmt::format("its persistent id is {}; torch.save gives five fields of a storage", document_.brief(value)));
  const auto* const name = std::get_if<PickleGlobal>(&fields[1]);
  const auto type = name == nullptr ? std::nullopt : storage_type(*name);
  const auto* const key = std::get_if<PickleText>(&fields[2]);
  if (!type || key == nullptr) return error("a storage lacks its type or key; record it again");
  EVENKEEL_TRY_STATUS(spend(kStorageCost + document_.text(*key).size() / sizeof(PickleValue)));
  document_.storages_.push_back({*type, std::string(document_.text(*key))});
  return push(PickleStorage(document_.storages_.size() - 1));
}

Status Unpickler::reduce() {
  EVENKEEL_TRY(arguments, pop());
  EVENKEEL_TRY(callable, pop());
  const auto* const id = std::get_if<PickleTuple>(&arguments);
  const auto* const global = std::get_if<PickleGlobal>(&callable);
  if (id != nullptr && global != nullptr) {
    const auto values = document_.tuple(*id);
    if (*global == PickleGlobal::kRebuildTensor) return push_tensor(values);
    if (*global == PickleGlobal::kOrderedDict && values.empty()) return push_dict();
  }
  return error(
      "it calls something other than what rebuilds a tensor; save only tensors, lists, dictionaries, numbers "
      "and text");
}

Status Unpickler::push_tensor(std::span<const PickleValue> arguments) {
  // (storage, offset, size, stride, requires_grad, hooks[, metadata]), of which the first four say all.
  if (arguments.size() < 6 || arguments.size() > 7)
    return error(fmt::format("a tensor has {} arguments; torch.save gives 6 or 7", arguments.size()));
  const auto* const storage = std::get_if<PickleStorage>(&arguments[0]);
  const auto* const offset = std::get_if<std::int64_t>(&arguments[1]);
  if (storage == nullptr || offset == nullptr || *offset < 0)
    return error(fmt::format("a tensor starts at {} of {}; give an offset from 0 into a storage",
                             document_.brief(arguments[1]), document_.brief(arguments[0])));
  EVENKEEL_TRY(size, dimensions(arguments[2], "size"));
  EVENKEEL_TRY(stride, dimensions(arguments[3], "stride"));
  if (size.size() != stride.size())
    return error(fmt::format("a tensor has {} sizes but {} strides; record it again", size.size(), stride.size()));
  EVENKEEL_TRY_STATUS(spend(kTensorCost));
  document_.tensors_.push_back({*storage, *offset, std::move(size), std::move(stride)});
  return push(PickleTensor(document_.tensors_.size() - 1));
}

Result<std::vector<std::int64_t>> Unpickler::dimensions(const PickleValue& value, std::string_view what) const {
  const auto* const id = std::get_if<PickleTuple>(&value);
  if (id == nullptr || document_.tuple(*id).size() > kPickledDimensionsMax)
    return error(fmt::format("a tensor's {} is {}; give at most {} numbers", what, document_.brief(value),
                             kPickledDimensionsMax));
  std::vector<std::int64_t> numbers;
  for (const PickleValue& entry : document_.tuple(*id)) {
    const auto* const number = std::get_if<std::int64_t>(&entry);
    if (number == nullptr || *number < 0)
      return error(fmt::format("a tensor's {} holds {}; give whole numbers from 0", what, document_.brief(entry)));
    numbers.push_back(*number);
  }
  return numbers;
}

}  // namespace evenkeel
