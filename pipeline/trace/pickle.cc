#include "pipeline/trace/pickle.h"

#include <fmt/format.h>

#include "pipeline/trace/unpickler.h"

namespace evenkeel {
namespace {

template <class... Callables>
struct Overloaded : Callables... {
  using Callables::operator()...;
};
template <class... Callables>
Overloaded(Callables...) -> Overloaded<Callables...>;

}  // namespace

const PickleValue* PickleDocument::find(PickleDict id, std::string_view key) const {
  const auto& items = dicts_[id.index()];
  // A key that was set twice has its last value, as in Python.
  for (auto item = items.rbegin(); item != items.rend(); ++item) {
    const auto* const name = std::get_if<PickleText>(&item->first);
    if (name != nullptr && text(*name) == key) return &item->second;
  }
  return nullptr;
}

std::string PickleDocument::brief(const PickleValue& value) const {
  return std::visit(
      Overloaded{[](PickleNone) { return std::string("None"); },
                 [](bool truth) { return std::string(truth ? "True" : "False"); },
                 [](std::int64_t number) { return fmt::format("{}", number); },
                 [](double number) { return fmt::format("{}", number); },
                 [&](PickleText id) { return fmt::format("a text of {} bytes", text(id).size()); },
                 [&](PickleList id) { return fmt::format("a list of {}", list(id).size()); },
                 [&](PickleTuple id) { return fmt::format("a tuple of {}", tuple(id).size()); },
                 [&](PickleDict id) { return fmt::format("a dictionary of {}", dicts_[id.index()].size()); },
                 [](PickleStorage) { return std::string("a storage"); },
                 [](PickleTensor) { return std::string("a tensor"); },
                 [](PickleGlobal) { return std::string("a name"); }},
      value);
}

Result<PickleDocument> parse_pickle(std::span<const std::byte> bytes, std::size_t values_max) {
  return Unpickler(bytes, values_max).run();
}

}  // namespace evenkeel
