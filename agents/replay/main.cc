// evenkeel-stand-in: the worker that `evenkeel-agent --replay` starts and stands beside.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "agents/replay/settings.h"
#include "agents/replay/stand_in.h"
#include "agents/shell/stop_signals.h"
#include "pipeline/flags/field_flags.h"
#include "pipeline/flags/setting.h"

namespace evenkeel::replay {
namespace {

Result<int> run(Settings& settings, shell::StopSignals& signals) {
  EVENKEEL_TRY_STATUS(complete(settings));
  EVENKEEL_TRY(worker, StandIn::create(settings));
  return worker.run(signals);
}

int run_program(int argc, char** argv) {
  shell::StopSignals signals;
  Settings settings;
  // Under the agent's name: what sets the agent's flags in the environment sets these.
  CLI::App app("Plays a recorded trace as a GPU worker would. evenkeel-agent --replay starts it with its own flags.",
               "evenkeel-agent");
  app.set_version_flag("--version", EVENKEEL_VERSION);
  add_options(app, settings);
  app.get_option("--replay")->required();
  // The agent's flags are not for the worker.
  app.allow_extras();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "evenkeel-stand-in: {}\n", usage_message(app, error, argc, argv));
    return 2;
  }
  const auto code = run(settings, signals);
  if (code) return *code;
  fmt::print(stderr, "evenkeel-stand-in: {}\n", with_flags(app, code.error().message, code.error().fields));
  return exit_code(code.error().code);
}

}  // namespace
}  // namespace evenkeel::replay

int main(int argc, char** argv) { return evenkeel::replay::run_program(argc, argv); }
