#include <fmt/format.h>
#include <pthread.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <exception>
#include <new>
#include <thread>
#include <utility>

#include "pipeline/cli/command_error.h"
#include "pipeline/cli/commands.h"
#include "pipeline/flags/field_flags.h"
#include "pipeline/flags/setting.h"
#include "pipeline/report/output_file.h"
#include "rebalancer/operator/command_service.h"

namespace {

constexpr int kExitInterrupted = 130;

/// METIS takes over SIGTERM while it runs and would swallow it, so signals are blocked everywhere and one thread waits
/// for them.
void exit_on_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals] {
    int signal = 0;
    sigwait(&signals, &signal);
    evenkeel::exit_and_remove_outputs(kExitInterrupted);
  }).detach();
}

/// What the user gave may hold anything; a message stays one line and leaves the terminal alone.
void print_error(std::string message) { fmt::print(stderr, "evenkeel: {}\n", evenkeel::one_line(std::move(message))); }

int run(int argc, char** argv) {
  CLI::App program("Places Mixture-of-Experts experts on GPUs: even load, little traffic, few moves.", "evenkeel");
  program.set_version_flag("--version", EVENKEEL_VERSION);
  program.require_subcommand(1);
  program.failure_message(CLI::FailureMessage::simple);
  evenkeel::add_profile_command(program);
  evenkeel::add_inspect_command(program);
  evenkeel::add_partition_command(program);
  evenkeel::add_compare_command(program);
  evenkeel::add_evaluate_command(program);
  evenkeel::add_convert_command(program);
  evenkeel::add_calibrate_command(program);
  evenkeel::add_synth_command(program);
  evenkeel::add_plan_command(program);
  evenkeel::add_replay_command(program);
  evenkeel::add_service_commands(program);
  evenkeel::add_completion_command(program);
  evenkeel::add_man_command(program);
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return program.exit(help);
  } catch (const CLI::ParseError& error) {
    print_error(evenkeel::usage_message(program, error, argc, argv));
    return evenkeel::exit_code(evenkeel::ErrorCode::kInvalidInput);
  } catch (const evenkeel::CommandError& failed) {
    print_error(evenkeel::with_flags(program, failed.error.message, failed.error.fields));
    return evenkeel::exit_code(failed.error.code);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  exit_on_signals();
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    print_error("the machine ran out of memory; give a smaller trace or more memory");
  } catch (const std::exception& error) {
    print_error(error.what());
  }
  return evenkeel::exit_code(evenkeel::ErrorCode::kFailure);
}
