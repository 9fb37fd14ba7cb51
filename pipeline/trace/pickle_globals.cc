#include "pipeline/trace/pickle_globals.h"

#include <algorithm>
#include <array>

namespace evenkeel {
namespace {

struct KnownGlobal {
  std::string_view module;
  std::string_view name;
  PickleGlobal global;
};

constexpr std::array<KnownGlobal, 12> kKnownGlobals{{
    {"torch._utils", "_rebuild_tensor_v2", PickleGlobal::kRebuildTensor},
    {"collections", "OrderedDict", PickleGlobal::kOrderedDict},
    {"torch", "BoolStorage", PickleGlobal::kBoolStorage},
    {"torch", "ByteStorage", PickleGlobal::kByteStorage},
    {"torch", "CharStorage", PickleGlobal::kCharStorage},
    {"torch", "ShortStorage", PickleGlobal::kShortStorage},
    {"torch", "IntStorage", PickleGlobal::kIntStorage},
    {"torch", "LongStorage", PickleGlobal::kLongStorage},
    {"torch", "FloatStorage", PickleGlobal::kFloatStorage},
    {"torch", "DoubleStorage", PickleGlobal::kDoubleStorage},
    {"torch", "HalfStorage", PickleGlobal::kHalfStorage},
    {"torch", "BFloat16Storage", PickleGlobal::kBFloat16Storage},
}};

}  // namespace

std::optional<PickleGlobal> known_global(std::string_view module, std::string_view name) {
  const auto* const known = std::find_if(kKnownGlobals.begin(), kKnownGlobals.end(), [&](const KnownGlobal& candidate) {
    return candidate.module == module && candidate.name == name;
  });
  if (known == kKnownGlobals.end()) return std::nullopt;
  return known->global;
}

std::optional<StorageType> storage_type(PickleGlobal global) {
  switch (global) {
    case PickleGlobal::kBoolStorage:
      return StorageType::kBool;
    case PickleGlobal::kByteStorage:
      return StorageType::kUint8;
    case PickleGlobal::kCharStorage:
      return StorageType::kInt8;
    case PickleGlobal::kShortStorage:
      return StorageType::kInt16;
    case PickleGlobal::kIntStorage:
      return StorageType::kInt32;
    case PickleGlobal::kLongStorage:
      return StorageType::kInt64;
    case PickleGlobal::kFloatStorage:
      return StorageType::kFloat32;
    case PickleGlobal::kDoubleStorage:
      return StorageType::kFloat64;
    case PickleGlobal::kHalfStorage:
      return StorageType::kFloat16;
    case PickleGlobal::kBFloat16Storage:
      return StorageType::kBfloat16;
    case PickleGlobal::kRebuildTensor:
    case PickleGlobal::kOrderedDict:
      return std::nullopt;
  }
  return std::nullopt;
}

std::string printable(std::string_view text) {
  std::string shown(text.substr(0, 80));
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return shown;
}

}  // namespace evenkeel
