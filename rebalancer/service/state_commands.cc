#include "rebalancer/service/state_commands.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>

#include "agents/shell/curve_keys.h"
#include "agents/wire/frame.h"
#include "rebalancer/store/backup.h"

namespace evenkeel::rebalancer {
namespace {

struct Paths {
  std::filesystem::path from;
  std::filesystem::path to;
  std::string name = "rebalancer";
};

Status generate_keys(const Paths& paths) {
  EVENKEEL_TRY_STATUS(wire::validate_name("--name", paths.name));
  if (paths.name.find('/') != std::string::npos) {
    return invalid_input(fmt::format("--name is {}; give a name without /", paths.name));
  }
  const shell::CurveKeys keys = shell::generate_curve_keys();
  EVENKEEL_TRY_STATUS(shell::write_curve_keys(paths.to, paths.name, keys));
  fmt::print("{}\n", keys.public_key);
  return {};
}

void add_keygen(CLI::App& program, std::function<Status()>& chosen) {
  CLI::App* const command =
      program.add_subcommand("keygen", "Make a key pair: NAME.secret, for its owner alone, and NAME.pub");
  auto paths = std::make_shared<Paths>();
  command->add_option("-o,--out", paths->to, "Folder to write both to; never overwrites")->required();
  command->add_option("--name", paths->name, "Who it is for: the name of a worker, or of this service")
      ->capture_default_str();
  command->footer(
      "Examples:\n"
      "  evenkeel-rebalancer keygen -o /etc/evenkeel/keys\n"
      "  evenkeel-rebalancer keygen -o /etc/evenkeel/keys --name worker-0");
  command->callback([paths, &chosen] { chosen = [paths] { return generate_keys(*paths); }; });
}

void add_backup(CLI::App& program, std::function<Status()>& chosen) {
  CLI::App* const command =
      program.add_subcommand("backup", "Copy a state folder into one file, while it is in use too");
  auto paths = std::make_shared<Paths>();
  command->add_option("DIR", paths->from, "The --state folder")->required();
  command->add_option("-o,--out", paths->to, "File to write")->required();
  command->footer("Examples:\n  evenkeel-rebalancer backup /var/lib/evenkeel -o evenkeel.backup");
  command->callback([paths, &chosen] { chosen = [paths] { return back_up(paths->from, paths->to); }; });
}

void add_restore(CLI::App& program, std::function<Status()>& chosen) {
  CLI::App* const command =
      program.add_subcommand("restore", "Make a state folder from such a file; overwrites nothing");
  auto paths = std::make_shared<Paths>();
  command->add_option("FILE", paths->from, "File that backup has written")->required();
  command->add_option("-o,--out", paths->to, "The new --state folder")->required();
  command->footer("Examples:\n  evenkeel-rebalancer restore evenkeel.backup -o /var/lib/evenkeel");
  command->callback([paths, &chosen] { chosen = [paths] { return restore(paths->from, paths->to); }; });
}

}  // namespace

void add_state_commands(CLI::App& program, std::function<Status()>& chosen) {
  add_keygen(program, chosen);
  add_backup(program, chosen);
  add_restore(program, chosen);
}

}  // namespace evenkeel::rebalancer
