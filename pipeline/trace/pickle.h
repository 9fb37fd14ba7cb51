#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "partition/foundation/id.h"
#include "partition/foundation/result.h"

namespace evenkeel {

/// Element types of the storages that are read; torch's names are IntStorage, LongStorage, ...
enum class StorageType { kBool, kUint8, kInt8, kInt16, kInt32, kInt64, kFloat32, kFloat64, kFloat16, kBfloat16 };

/// What a pickle may name. Nothing named is ever run.
enum class PickleGlobal {
  kRebuildTensor,
  kOrderedDict,
  kBoolStorage,
  kByteStorage,
  kCharStorage,
  kShortStorage,
  kIntStorage,
  kLongStorage,
  kFloatStorage,
  kDoubleStorage,
  kHalfStorage,
  kBFloat16Storage
};

struct PickleNone {};
using PickleText = Id<struct PickleTextTag>;
using PickleList = Id<struct PickleListTag>;
using PickleTuple = Id<struct PickleTupleTag>;
using PickleDict = Id<struct PickleDictTag>;
using PickleStorage = Id<struct PickleStorageTag>;
using PickleTensor = Id<struct PickleTensorTag>;

/// A value of a pickle. Texts, containers and tensors are numbers of what the PickleDocument holds, so that values that
/// are shared, or contain themselves, cost nothing and need no recursion to free.
using PickleValue = std::variant<PickleNone, bool, std::int64_t, double, PickleText, PickleList, PickleTuple,
                                 PickleDict, PickleStorage, PickleTensor, PickleGlobal>;

/// Bytes beside the pickle that tensors view.
struct StorageReference {
  StorageType type;
  /// Name of the archive's entry, below `data/`.
  std::string key;
};

/// A tensor: a view of a storage, in elements. Sizes and strides are not negative; nothing else has been checked.
struct TensorReference {
  PickleStorage storage;
  std::int64_t offset;
  std::vector<std::int64_t> size;
  std::vector<std::int64_t> stride;
};

/// What a pickle holds.
class PickleDocument {
 public:
  [[nodiscard]] const PickleValue& root() const { return root_; }
  [[nodiscard]] std::string_view text(PickleText id) const { return texts_[id.index()]; }
  [[nodiscard]] std::span<const PickleValue> list(PickleList id) const { return lists_[id.index()]; }
  [[nodiscard]] std::span<const PickleValue> tuple(PickleTuple id) const { return tuples_[id.index()]; }
  [[nodiscard]] const StorageReference& storage(PickleStorage id) const { return storages_[id.index()]; }
  [[nodiscard]] const TensorReference& tensor(PickleTensor id) const { return tensors_[id.index()]; }
  /// The value of a text key; null where the dictionary lacks it.
  [[nodiscard]] const PickleValue* find(PickleDict id, std::string_view key) const;
  /// A value as messages show it: a short scalar, or what kind it is and how long.
  [[nodiscard]] std::string brief(const PickleValue& value) const;

 private:
  friend class Unpickler;

  PickleValue root_;
  std::vector<std::string> texts_;
  std::vector<std::vector<PickleValue>> lists_;
  std::vector<std::vector<PickleValue>> tuples_;
  std::vector<std::vector<std::pair<PickleValue, PickleValue>>> dicts_;
  std::vector<StorageReference> storages_;
  std::vector<TensorReference> tensors_;
};

/// Longest pickle that is accepted.
inline constexpr std::size_t kPickleBytesMax = std::size_t{256} << 20;

/// Limit on memory, in values of 16 bytes: 1 GiB. A pass of 8,192 tokens costs 33,000.
inline constexpr std::size_t kPickleValuesMax = std::size_t{1} << 26;
static_assert(sizeof(PickleValue) == 16);

/// Reads the pickle (protocol 2) of a file that torch.save wrote. A pickle is a program; of its instructions those that
/// build plain values are carried out, and of its names those that rebuild tensors are known. Anything else is refused,
/// and nothing is ever imported or called. Safe for any bytes: no recursion, memory of about `values_max` values.
/// Fails with kInvalidInput, naming the byte but not the file.
[[nodiscard]] Result<PickleDocument> parse_pickle(std::span<const std::byte> bytes,
                                                  std::size_t values_max = kPickleValuesMax);

}  // namespace evenkeel
