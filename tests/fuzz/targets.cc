#include "tests/fuzz/targets.h"

#include <algorithm>
#include <array>

#include "agents/recordings/recorded_counts.h"
#include "agents/shell/curve_keys.h"
#include "agents/wire/codec.h"
#include "pipeline/config/cluster_file.h"
#include "pipeline/config/model_file.h"
#include "pipeline/engine/placement_file.h"
#include "pipeline/trace/counts_table.h"
#include "pipeline/trace/layer_lines.h"
#include "pipeline/trace/npy_recording.h"
#include "pipeline/trace/npz_recording.h"
#include "pipeline/trace/sglang_counts.h"
#include "pipeline/trace/sglang_recording.h"
#include "pipeline/trace/trtllm_statistics.h"
#include "pipeline/trace/vllm_statistics.h"
#include "rebalancer/net/authorised_keys.h"
#include "rebalancer/net/control_socket.h"
#include "rebalancer/net/zap_handler.h"
#include "tests/fuzz/contract_sink.h"
#include "tests/pipeline/pickle_builder.h"
#include "tests/pipeline/temporary_file.h"

namespace evenkeel::fuzz {
namespace {

using Path = std::filesystem::path;

/// 32 bytes from 1 to 32 in Z85; seeds.py has them too.
const std::string kZapKey = [] {
  std::string bytes;
  for (char byte = 1; byte <= 32; ++byte) bytes += byte;
  return shell::curve_key_text(bytes);
}();

Path write(const Path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

/// Inputs whose last byte is odd are read as recordings of a known model with dense layers.
ReadOptions options_for(const std::string& content) {
  ReadOptions options;
  if (!content.empty() && content.back() % 2 != 0) {
    options.moe_layer_ids = {1, 3};
    options.hidden_layers = 4;
  }
  return options;
}

template <Status (*kRead)(const Path&, const ReadOptions&, RecordingSink&)>
Status read_recording(const Path& folder, const std::string& content) {
  ContractSink sink;
  return kRead(write(folder / "input", content), options_for(content), sink);
}

/// Native traces alone: other archives have other readers.
Status read_npz(const Path& folder, const std::string& content) {
  if (!content.starts_with("PK")) return {};
  ContractSink sink;
  return read_recordings({write(folder / "input", content)}, options_for(content), sink);
}

/// The bytes are the one array of a native trace; mutated archives seldom get past their checksums.
Status read_ids(const Path& folder, const std::string& content) {
  ContractSink sink;
  return read_npz_recording(testing::write_npz(folder, "input.npz", {{"ids", content}}), options_for(content), sink);
}

/// The bytes are the loads of a profile.
Status read_loads(const Path& folder, const std::string& content) {
  ContractSink sink;
  return read_npz_recording(testing::write_npz(folder, "input.npz", {{"loads", content}}), options_for(content), sink);
}

/// The bytes are the pickle of a recording with two storages of 64 bytes, one of counts and one of zeros.
Status read_sglang(const Path& folder, const std::string& content) {
  const auto path =
      testing::write_torch(folder, "input.pt", content, {{"0", std::string(64, '\1')}, {"1", std::string(64, '\0')}});
  ContractSink sink;
  return read_sglang_recording(std::vector{path}, options_for(content), sink);
}

/// The bytes are the pickle of one tensor, or of a placement.
Status read_tensor(const Path& folder, const std::string& content) {
  const auto path = testing::write_torch(folder, "input.pt", content, {{"0", std::string(64, '\1')}});
  ContractSink sink;
  return read_torch_counts(path, options_for(content), sink);
}

Status read_torch_map(const Path& folder, const std::string& content) {
  std::string experts;
  for (char i = 0; i < 64; ++i) experts += static_cast<char>(i % 4);
  const auto path = testing::write_torch(folder, "input.pt", content, {{"0", experts}});
  EVENKEEL_TRY(placement, read_placement(path, {{1, 2}, 4, 3}, 2, 1));
  return placement.layers() == 2 ? Status() : invalid_input("it has other layers than the model");
}

Status read_model_input(const Path& folder, const std::string& content) {
  EVENKEEL_TRY(model, read_model(write(folder / "input.yaml", content).string()));
  return model.experts > 0 ? Status() : invalid_input("it has no experts");
}

/// The bytes are the file of the one rank.
Status read_trtllm(const Path& folder, const std::string& content) {
  write(folder / "meta_info.json", R"({"num_experts": 4, "num_experts_per_token": 2})");
  write(folder / "rank0.safetensors", content);
  ContractSink sink;
  return read_trtllm_statistics(folder, options_for(content), sink);
}

Status read_cluster_input(const Path& folder, const std::string& content) {
  EVENKEEL_TRY(groups, read_cluster(write(folder / "input", content)));
  for (const EpGroup& group : groups) EVENKEEL_TRY_STATUS(group.cluster.validate());
  return {};
}

Status read_placement_input(const Path& folder, const std::string& content) {
  EVENKEEL_TRY(placement, read_placement(write(folder / "input", content), {{1, 2}, 4, 3}, 2, 1));
  return placement.layers() == 2 ? Status() : invalid_input("it has other layers than the model");
}

Status read_authorised_keys(const Path& folder, const std::string& content) {
  EVENKEEL_TRY(keys, rebalancer::AuthorisedKeys::read(write(folder / "input", content)));
  EVENKEEL_CHECK(keys.user_of("") == nullptr, "no key is nobody's");
  return {};
}

Status read_secret(const Path& folder, const std::string& content) {
  const Path path = write(folder / "input", content);
  std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EVENKEEL_TRY(keys, shell::read_curve_secret("--curve-secret", path));
  EVENKEEL_CHECK(shell::is_curve_key(keys.public_key), "a secret key has a public one");
  return {};
}

/// The bytes are the frames of a request, each after a byte that says how long it is.
Status read_zap_request(const Path&, const std::string& content) {
  static const auto keys = rebalancer::AuthorisedKeys::parse("keys", kZapKey + " user\n");
  EVENKEEL_CHECK(keys.has_value(), "the key is one");
  shell::Parts request;
  for (std::size_t at = 0; at < content.size();) {
    const auto size = static_cast<unsigned char>(content[at]);
    request.push_back(content.substr(at + 1, size));
    at += 1 + std::size_t{size};
  }
  const auto reply = rebalancer::zap_reply(request, *keys);
  if (!reply) return invalid_input("it is no request");
  constexpr std::size_t kStatus = 4;
  constexpr std::size_t kUser = 6;
  EVENKEEL_CHECK(reply->size() == kUser + 2, "a reply has all frames");
  const bool is_admitted = (*reply)[kStatus] == "200";
  EVENKEEL_CHECK(is_admitted == ((*reply)[kUser] == "user"), "who is admitted has a name");
  EVENKEEL_CHECK(!is_admitted || shell::curve_key_text(request.back()) == kZapKey, "others are refused");
  return is_admitted ? Status() : invalid_input("the key is not authorised");
}

Status read_control_request(const Path&, const std::string& content) {
  EVENKEEL_TRY(request, rebalancer::parse_control_request(content));
  EVENKEEL_CHECK(!request.command.empty(), "a request has a command");
  return {};
}

Status read_message(const Path&, const std::string& content) {
  EVENKEEL_TRY(message, wire::decode(content));
  const auto again = wire::decode(wire::encode(message));
  EVENKEEL_CHECK(again && *again == message, "what was read can be written");
  return {};
}

Status read_recorded_counts(const Path& folder, const std::string& content) {
  EVENKEEL_TRY(counts, agent::read_counts(write(folder / "input", content)));
  EVENKEEL_CHECK(counts.incarnation > 0, "counts have an incarnation");
  return {};
}

constexpr std::array<Target, 20> kTargets{{
    {"npz-trace", read_npz},
    {"npz-ids", read_ids},
    {"npz-loads", read_loads},
    {"sglang-recording", read_sglang},
    {"model", read_model_input},
    {"npy", read_recording<read_npy_recording>},
    {"sglang-counts", read_recording<read_sglang_counts>},
    {"vllm-statistics", read_recording<read_vllm_statistics>},
    {"layer-lines", read_recording<read_layer_lines>},
    {"torch-counts", read_tensor},
    {"torch-placement", read_torch_map},
    {"trtllm-statistics", read_trtllm},
    {"cluster", read_cluster_input},
    {"placement", read_placement_input},
    {"authorised-keys", read_authorised_keys},
    {"curve-secret", read_secret},
    {"zap-request", read_zap_request},
    {"control-request", read_control_request},
    {"message", read_message},
    {"recorded-counts", read_recorded_counts},
}};

}  // namespace

std::span<const Target> targets() { return kTargets; }

const Target* find_target(std::string_view name) {
  const auto* const found = std::ranges::find(kTargets, name, &Target::name);
  return found == kTargets.end() ? nullptr : found;
}

Status read_input(const Target& target, std::span<const std::uint8_t> bytes) {
  static const testing::TemporaryFolder folder;
  Status status = target.read(folder.path(), {bytes.begin(), bytes.end()});
  if (!status) {
    const std::string& message = status.error().message;
    EVENKEEL_CHECK(!message.empty() && message.find_first_of("\r\n") == std::string::npos, "messages are one line");
  }
  return status;
}

}  // namespace evenkeel::fuzz
