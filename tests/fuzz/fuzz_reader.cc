// libFuzzer over one reader, the one that EVENKEEL_FUZZ_READER names ("list" prints their names). scripts/fuzz.sh runs
// it.

#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/targets.h"

namespace {

const evenkeel::fuzz::Target* target = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* const name = std::getenv("EVENKEEL_FUZZ_READER");
  target = evenkeel::fuzz::find_target(name == nullptr ? "" : name);
  if (target == nullptr) {
    for (const auto& known : evenkeel::fuzz::targets()) std::puts(known.name.data());
    std::exit(name != nullptr && std::string_view(name) == "list" ? 0 : 2);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static_cast<void>(evenkeel::fuzz::read_input(*target, {bytes, size}));
  return 0;
}
