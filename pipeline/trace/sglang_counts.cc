#include "pipeline/trace/sglang_counts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <numeric>

#include "pipeline/trace/json_file.h"
#include "pipeline/trace/reading.h"

namespace evenkeel {
namespace {

using nlohmann::json;

constexpr std::string_view kKey = "logical_count";

/// Gathers the rows of a step and hands finished steps to the sink.
class Steps {
 public:
  Steps(std::string path, const ReadOptions& options, RecordingSink& sink)
      : path_(std::move(path)), options_(options), sink_(sink) {}

  void add(std::uint64_t count) {
    // What a row has beyond the first is counted for the message alone.
    if (row_size_++ < row_size_max()) cells_.push_back(count);
  }

  [[nodiscard]] bool is_row_too_long() const { return experts_ == 0 && row_size_ > kExpertsMax; }

  Status end_row(const std::string& where) {
    if (row_size_ == 0) return invalid_input(fmt::format("{} is a list of 0; give a count for each expert", where));
    if (experts_ != 0 && row_size_ != experts_) {
      return invalid_input(fmt::format("{} is a list of {}; every layer needs {} counts", where, row_size_, experts_));
    }
    experts_ = row_size_;
    row_size_ = 0;
    if (++layers_ > kLayersMax)
      return invalid_input(fmt::format("{}: at most {} layers are accepted", where, kLayersMax));
    return {};
  }

  Status end_step(const std::string& where) {
    if (layers_ == 0) {
      return invalid_input(fmt::format("{} is a list of 0; give a list of layers, each a list of counts", where));
    }
    if (!hidden_layers_) {
      EVENKEEL_TRY_STATUS(begin());
    } else if (layers_ != *hidden_layers_) {
      return invalid_input(fmt::format("{} is {} x {} but step 0 is {} x {}; steps of one model have one shape", where,
                                       layers_, experts_, *hidden_layers_, experts_));
    }
    Grid<std::uint64_t> loads(layers_, experts_);
    std::ranges::copy(cells_, loads.cells().begin());
    cells_.clear();
    layers_ = 0;
    // Unused rows of the recorder's ring.
    if (std::ranges::all_of(loads.cells(), [](std::uint64_t tokens) { return tokens == 0; })) return {};
    has_load_ = true;
    return sink_.loads({.load_tokens = std::move(loads)});
  }

  [[nodiscard]] bool has_load() const { return has_load_; }

 private:
  [[nodiscard]] std::size_t row_size_max() const { return experts_ == 0 ? kExpertsMax : experts_; }

  Status begin() {
    EVENKEEL_TRY_STATUS(check_experts(path_, experts_, options_));
    hidden_layers_ = layers_;
    RecordingHeader header;
    header.layer_ids.resize(layers_);
    std::iota(header.layer_ids.begin(), header.layer_ids.end(), 0);
    header.hidden_layers = layers_;
    header.experts = experts_;
    header.has_loads = true;
    return sink_.begin(path_, header);
  }

  std::string path_;
  const ReadOptions& options_;
  RecordingSink& sink_;
  bool has_load_ = false;
  /// Of the present step, [layers_, experts_].
  std::vector<std::uint64_t> cells_;
  std::size_t layers_ = 0;
  std::size_t row_size_ = 0;
  /// Known from the first row on.
  std::size_t experts_ = 0;
  /// Known from the first step on.
  std::optional<std::size_t> hidden_layers_;
};

/// Walks over the document; false ends the walk, status() says why.
class CountsHandler : public nlohmann::json_sax<json> {
 public:
  CountsHandler(const std::string& path, std::ifstream& in, const ReadOptions& options, RecordingSink& sink)
      : path_(path), in_(in), options_(options), steps_(path, options, sink) {
    in_.seekg(0, std::ios::end);
    bytes_ = static_cast<std::uint64_t>(in_.tellg());
    in_.seekg(0);
  }

  [[nodiscard]] const Status& status() const { return status_; }
  [[nodiscard]] bool has_load() const { return steps_.has_load(); }
  [[nodiscard]] bool has_counts() const { return has_counts_; }
  [[nodiscard]] bool is_placement() const { return is_placement_; }

  bool null() override { return is_ignored() || refuse("null"); }
  bool boolean(bool value) override { return is_ignored() || refuse(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { return number(value); }
  bool number_unsigned(number_unsigned_t value) override { return number(value); }
  bool number_float(number_float_t value, const string_t&) override { return number(value); }
  bool string(string_t& value) override { return is_ignored() || refuse(brief(value)); }
  bool binary(binary_t&) override { return is_ignored() || refuse("binary"); }

  bool start_object(std::size_t) override {
    if (depth_++ == 0) return true;
    return is_ignored() || refuse("an object");
  }

  bool end_object() override {
    --depth_;
    return true;
  }

  bool key(string_t& name) override {
    if (depth_ != 1) return true;
    is_placement_ = is_placement_ || name == "physical_to_logical_map" || name == "layer_list" ||
                    name == "initial_global_assignments";
    in_counts_ = name == kKey;
    if (!in_counts_) return true;
    if (has_counts_) {
      return stop(invalid_input(fmt::format("{}: key {} is given twice; keep one of them", path_, kKey)));
    }
    return has_counts_ = true;
  }

  bool start_array(std::size_t) override {
    // A list at the top has no key logical_count.
    if (depth_ == 0) return false;
    ++depth_;
    if (!in_counts_) return true;
    if (lists_ == 2 && levels_ == 0) levels_ = 3;
    if (lists_ == levels_ && levels_ != 0) return refuse("a list");
    index_[lists_++] = 0;
    return true;
  }

  bool end_array() override {
    --depth_;
    if (!in_counts_) return true;
    --lists_;
    if (levels_ == 0) return refuse("a list of 0");
    Status ended;
    if (lists_ + 1 == levels_) {
      ended = steps_.end_row(where());
    } else if (lists_ + 2 == levels_) {
      ended = steps_.end_step(where());
      report_progress(options_, static_cast<std::uint64_t>(std::max<std::streamoff>(in_.tellg(), 0)), bytes_);
    }
    if (!ended) return stop(std::move(ended));
    next();
    return true;
  }

  bool parse_error(std::size_t byte, const std::string&, const nlohmann::detail::exception& fault) override {
    return stop(invalid_input(json_fault(std::filesystem::path(path_), byte, fault)));
  }

 private:
  [[nodiscard]] bool is_ignored() const { return !in_counts_ && depth_ > 0; }

  /// The place in the document, as in "x.json: logical_count[0][1]".
  [[nodiscard]] std::string where() const {
    std::string text = fmt::format("{}: {}", path_, kKey);
    for (std::size_t list = 0; list < lists_; ++list) text += fmt::format("[{}]", index_[list]);
    return text;
  }

  bool stop(Status why) {
    status_ = std::move(why);
    return false;
  }

  bool refuse(const std::string& value) {
    if (depth_ == 0) return false;
    const bool is_count = lists_ == levels_ && levels_ != 0;
    return stop(invalid_input(
        fmt::format("{} is {}; give {}", where(), value,
                    is_count ? "a whole number of tokens, 0 or above" : "a list of layers, each a list of counts")));
  }

  void next() {
    if (lists_ > 0) ++index_[lists_ - 1];
  }

  template <class T>
  bool number(T value) {
    if (is_ignored()) return true;
    if (lists_ == 2 && levels_ == 0) levels_ = 2;
    const auto count = whole_count(static_cast<double>(value));
    if (lists_ != levels_ || levels_ == 0 || !count) return refuse(brief(value));
    steps_.add(*count);
    if (steps_.is_row_too_long()) {
      return stop(invalid_input(fmt::format("{}: at most {} experts are accepted", where(), kExpertsMax)));
    }
    next();
    return true;
  }

  const std::string& path_;
  std::ifstream& in_;
  const ReadOptions& options_;
  Steps steps_;
  Status status_;
  std::uint64_t bytes_ = 0;
  /// Objects and lists around the present place.
  std::size_t depth_ = 0;
  bool in_counts_ = false;
  bool has_counts_ = false;
  bool is_placement_ = false;
  /// Lists of logical_count around the present place, and where in each it is.
  std::size_t lists_ = 0;
  std::array<std::size_t, 3> index_{};
  /// Lists around a count: 2, or 3 with steps; 0: not yet known.
  std::size_t levels_ = 0;
};

}  // namespace

Status read_sglang_counts(const std::filesystem::path& file, const ReadOptions& options, RecordingSink& sink) {
  const std::string path = file.string();
  EVENKEEL_TRY_STATUS(check_regular_file(file));
  std::ifstream in(file, std::ios::binary);
  CountsHandler handler(path, in, options, sink);
  json::sax_parse(in, &handler);
  EVENKEEL_TRY_STATUS(handler.status());
  if (!handler.has_counts() && handler.is_placement()) {
    return invalid_input(fmt::format(
        "{}: it is a placement, not a recording; read it with evenkeel convert or give it as a placement", path));
  }
  if (!handler.has_counts()) {
    return invalid_input(
        fmt::format("{}: it has no key {}; give a native NPZ trace or SGLang's recorded counts", path, kKey));
  }
  if (!handler.has_load())
    return invalid_input(fmt::format("{}: {} is all zero; record some traffic first", path, kKey));
  return sink.end();
}

}  // namespace evenkeel
