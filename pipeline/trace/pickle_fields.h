#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "partition/foundation/result.h"
#include "pipeline/trace/pickle.h"
#include "pipeline/trace/torch_archive.h"

namespace evenkeel {

/// A dictionary of a pickle with the checks its readers need. Failures are kInvalidInput and name the field. The
/// document must outlive it.
class PickleFields {
 public:
  /// `name` and `separator` go before a key in messages, as "a.pt" and ": ", or "a.pt: records[3]" and ".". Fails where
  /// `value` is no dictionary.
  [[nodiscard]] static Result<PickleFields> of(const PickleDocument& document, const PickleValue& value,
                                               std::string name, std::string_view separator);

  /// Null where the dictionary lacks the key.
  [[nodiscard]] const PickleValue* find(std::string_view key) const { return document_->find(dict_, key); }
  /// Fails where the key is missing.
  [[nodiscard]] Result<PickleValue> at(std::string_view key) const;
  [[nodiscard]] Result<std::int64_t> integer(std::string_view key) const;
  [[nodiscard]] Result<PickleList> list(std::string_view key) const;
  [[nodiscard]] Result<std::string_view> text(std::string_view key) const;
  /// A tensor of that many dimensions.
  [[nodiscard]] Result<StoredTensor> tensor(std::string_view key, std::size_t dimensions) const;
  /// File and field, for messages.
  [[nodiscard]] std::string where(std::string_view key) const;

 private:
  PickleFields(const PickleDocument& document, PickleDict dict, std::string prefix)
      : document_(&document), dict_(dict), prefix_(std::move(prefix)) {}
  template <class T>
  [[nodiscard]] Result<T> as(std::string_view key, std::string_view what) const;

  const PickleDocument* document_;
  PickleDict dict_;
  std::string prefix_;
};

}  // namespace evenkeel
