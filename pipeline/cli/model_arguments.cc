#include "pipeline/cli/model_arguments.h"

#include <string>

#include "partition/cost/model_step_time.h"
#include "pipeline/cli/command_error.h"
#include "pipeline/cli/option_values.h"
#include "pipeline/config/bundled_files.h"
#include "pipeline/config/model_file.h"
#include "pipeline/flags/setting.h"

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
  add_choice(command, "--comm", asked_comm, comm_names(),
             "Which way tokens travel, where the trace has token paths: dispatch as in vLLM, SGLang and TensorRT-LLM, or "
             "resident, on to the next layer's GPU; default: dispatch, and resident with --objective weighted");
  add_setting(command, "--batch-tokens", batch_tokens, "Tokens of one modelled step, all ranks together")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 40))
      ->capture_default_str();
}

StepTimeModel ModelArguments::step_time(const Cluster& cluster) const {
  StepTimeModel result = step_time_model(spec, cluster);
  result.batch_tokens = batch_tokens;
  return result;
}

}  // namespace evenkeel
