// dump_recording FILE...: prints what reaches a sink from SGLang recordings, a JSON object a line.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "pipeline/trace/sglang_recording.h"
#include "pipeline/trace/torch_archive.h"

namespace evenkeel {
namespace {

template <class T>
nlohmann::json or_null(const std::optional<T>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

class PrintingSink : public RecordingSink {
 public:
  Status begin(const std::string& path, const RecordingHeader& header) override {
    return print({{"begin", path},
                  {"layer_ids", header.layer_ids},
                  {"hidden_layers", or_null(header.hidden_layers)},
                  {"experts", or_null(header.experts)},
                  {"top_k", header.top_k},
                  {"layer_of_round", header.layer_of_round},
                  {"has_loads", header.has_loads}});
  }
  Status loads(StageLoad window) override {
    nlohmann::json rows = nlohmann::json::array();
    for (std::size_t layer = 0; layer < window.load_tokens.rows(); ++layer) rows.push_back(window.load_tokens[layer]);
    return print({{"loads", rows}, {"stage", stage_name(window.stage)}});
  }
  Status begin_sequence(const SequenceLabel& label) override {
    return print(
        {{"sequence", {{"window", or_null(label.window)}, {"stage", label.stage ? stage_name(*label.stage) : ""}}}});
  }
  Status tokens(std::span<const ExpertIndex> experts) override { return print({{"tokens", experts}}); }
  Status end() override { return print({{"end", true}}); }

 private:
  static Status print(const nlohmann::json& line) {
    std::cout << line << '\n';
    return {};
  }
};

Status dump(std::span<const std::filesystem::path> files) {
  for (const auto& file : files) {
    EVENKEEL_TRY(content, torch_content(file));
    const bool is_torch = content != TorchContent::kNoTorch;
    if (!is_torch) return invalid_input(file.string() + ": it is no file of torch.save");
  }
  PrintingSink sink;
  return read_sglang_recording(files, {}, sink);
}

}  // namespace
}  // namespace evenkeel

int main(int count, char** arguments) {
  const std::vector<std::filesystem::path> files(arguments + 1, arguments + count);
  if (files.empty()) {
    std::cerr << "usage: dump_recording FILE...\n";
    return 2;
  }
  const evenkeel::Status status = evenkeel::dump(files);
  if (status) return 0;
  std::cerr << status.error().message << '\n';
  return evenkeel::exit_code(status.error().code);
}
