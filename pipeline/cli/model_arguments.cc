#include "pipeline/cli/model_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "partition/cost/model_step_time.h"
#include "pipeline/cli/command_error.h"
#include "pipeline/cli/notes.h"
#include "pipeline/cli/option_values.h"
#include "pipeline/config/bundled_files.h"
#include "pipeline/config/model_file.h"
#include "pipeline/flags/setting.h"
#include "pipeline/trace/reading.h"
#include "pipeline/trace/top_k_bound.h"

namespace evenkeel {

void add_model_option(CLI::App& command, std::optional<ModelSpec>& model) {
  command
      .add_option_function<std::string>(
          "--model", [&model](const std::string& name) { model = value_or_exit(read_model(name)); },
          "The model: a model file, or one of " + CLI::detail::join(bundled_model_names(), ", "))
      ->envname(environment_name("--model"));
}

void ModelArguments::add_to(CLI::App& command) {
  add_model_option(command, spec);
  add_choice(
      command, "--comm", asked_comm, comm_names(),
      "Which way tokens travel, where the trace has token paths: dispatch as in vLLM, SGLang and TensorRT-LLM, or "
      "resident, on to the next layer's GPU; default: dispatch");
  add_setting(command, "--top-k", top_k,
              "Experts a token chooses, without --model and where the trace has loads only; modelled times need it")
      ->check(CLI::Range(std::size_t{1}, kTopKMax));
  add_setting(command, "--batch-tokens", batch_tokens, "Tokens of one modelled step, all ranks together")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 40))
      ->capture_default_str();
}

void ModelArguments::settle_top_k(const Trace& trace) {
  if (spec && top_k && *top_k != spec->top_k)
    refuse(fmt::format("--top-k is {} but model {} has {}; give --model alone", *top_k, spec->name, spec->top_k));
  if (!trace.paths.empty()) {
    if (top_k && *top_k != trace.paths.top_k)
      refuse(fmt::format("--top-k is {} but the trace has top-{}; leave it out", *top_k, trace.paths.top_k));
    return;
  }
  const auto share = largest_share(trace.load_windows, trace.shape.layer_ids);
  if (!share) return;
  const auto known = spec ? std::optional(spec->top_k) : top_k ? top_k : trace.experts_per_token;
  const bool is_contradicted = known && *known > share->top_k_max();
  if (is_contradicted && !spec) {
    refuse(fmt::format("a token cannot choose {} experts: {}, which leaves at most {}; give --model or another --top-k",
                       *known, share->text(), share->top_k_max()));
  }
  if (is_contradicted) {
    top_k_note = fmt::format("model {} has top-{} but {}, which leaves at most {}; was another model recorded?",
                             spec->name, spec->top_k, share->text(), share->top_k_max());
  }
  if (!spec && known) top_k = known;
  if (known) return;
  const auto assumed = static_cast<std::size_t>(StepTimeModel{}.experts_per_token);
  top_k = std::min({assumed, share->top_k_max(), trace.shape.experts});
  const std::string why = *top_k == assumed ? "as DeepSeek-V3 has" : share->text();
  top_k_note = fmt::format(
      "the trace has loads only, which do not tell how many experts a token chooses; modelled times assume {} ({}); "
      "give "
      "--model or --top-k",
      *top_k, why);
}

void ModelArguments::tell_top_k() const {
  if (!top_k_note.empty()) print_note(top_k_note);
}

StepTimeModel ModelArguments::step_time(const Cluster& cluster) const {
  StepTimeModel result = step_time_model(spec, cluster);
  result.batch_tokens = batch_tokens;
  if (top_k) result.experts_per_token = static_cast<double>(*top_k);
  return result;
}

}  // namespace evenkeel
