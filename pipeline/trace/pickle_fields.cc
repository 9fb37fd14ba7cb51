#include "pipeline/trace/pickle_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace evenkeel {

Result<PickleFields> PickleFields::of(const PickleDocument& document, const PickleValue& value, std::string name,
                                      std::string_view separator) {
  const auto* const dict = std::get_if<PickleDict>(&value);
  if (dict != nullptr) return PickleFields(document, *dict, std::move(name.append(separator)));
  return invalid_input(fmt::format("{} is {}; give a dictionary as SGLang's expert distribution recorder writes", name,
                                   document.brief(value)));
}

Result<PickleValue> PickleFields::at(std::string_view key) const {
  if (const PickleValue* const value = find(key)) return *value;
  return invalid_input(fmt::format("{} is missing; give a dump of SGLang's expert distribution recorder", where(key)));
}

template <class T>
Result<T> PickleFields::as(std::string_view key, std::string_view what) const {
  EVENKEEL_TRY(value, at(key));
  if (const T* const typed = std::get_if<T>(&value)) return *typed;
  return invalid_input(fmt::format("{} is {}; give {}", where(key), document_->brief(value), what));
}

Result<std::int64_t> PickleFields::integer(std::string_view key) const {
  return as<std::int64_t>(key, "a whole number");
}

Result<PickleList> PickleFields::list(std::string_view key) const { return as<PickleList>(key, "a list"); }

Result<std::string_view> PickleFields::text(std::string_view key) const {
  EVENKEEL_TRY(id, as<PickleText>(key, "a text"));
  return document_->text(id);
}

Result<StoredTensor> PickleFields::tensor(std::string_view key, std::size_t dimensions) const {
  EVENKEEL_TRY(id, as<PickleTensor>(key, "a tensor"));
  const TensorReference& reference = document_->tensor(id);
  if (reference.size.size() != dimensions) {
    return invalid_input(fmt::format("{} has size ({}); give a tensor of {} dimensions", where(key),
                                     fmt::join(reference.size, ", "), dimensions));
  }
  return StoredTensor{document_->storage(reference.storage), reference.offset, reference.size, reference.stride};
}

std::string PickleFields::where(std::string_view key) const { return fmt::format("{}{}", prefix_, key); }

}  // namespace evenkeel
