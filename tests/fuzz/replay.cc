// fuzz_replay READER FILE...: reads each file with a reader and prints "accepted" or why it was refused. Stops as the
// fuzzer does where the reader is at fault.

#include <cstdio>
#include <fstream>
#include <iterator>

#include "tests/fuzz/targets.h"

int main(int argc, char** argv) {
  const auto* const target = argc < 3 ? nullptr : evenkeel::fuzz::find_target(argv[1]);
  if (target == nullptr) {
    std::fputs("usage: fuzz_replay READER FILE...\nreaders:", stderr);
    for (const auto& known : evenkeel::fuzz::targets()) std::fprintf(stderr, " %s", known.name.data());
    std::fputs("\n", stderr);
    return 2;
  }
  for (int i = 2; i < argc; ++i) {
    std::ifstream in(argv[i], std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(in), {}};
    const auto status =
        evenkeel::fuzz::read_input(*target, {reinterpret_cast<const std::uint8_t*>(content.data()), content.size()});
    std::printf("%s\n", status ? "accepted" : status.error().message.c_str());
  }
  return 0;
}
