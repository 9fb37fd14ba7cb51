#include "rebalancer/operator/command_service.h"

// status, freeze, unfreeze, trigger and dry-run: operate a running rebalancer.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "pipeline/cli/command_error.h"
#include "pipeline/cli/option_values.h"
#include "pipeline/report/output_file.h"
#include "pipeline/report/scores.h"
#include "pipeline/report/table.h"
#include "rebalancer/operator/service_client.h"

namespace evenkeel {
namespace {

using Json = nlohmann::ordered_json;

struct OperateArguments {
  ServiceArguments service;
  std::string reason;
  std::string mode;
  /// How long trigger waits for the decision; zero does not wait.
  std::chrono::duration<double> wait{0};
  bool json = false;
};

/// A value as a person reads it.
std::string text_of(const Json& value) {
  if (value.is_null()) return "none";
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_string()) return one_line(value.get<std::string>());
  if (value.is_number_float()) return fmt::format("{:.4f}", value.get<double>());
  return value.dump();
}

std::string agents_table(const Json& agents) {
  Table table({"worker", "rank", "epoch", "present", "trusted", "silent ms", "reports", "tokens"});
  for (const Json& agent : agents) {
    std::vector<std::string> row;
    for (const char* key : {"worker", "rank", "epoch", "is_present", "is_trusted", "silent_ms", "reports", "tokens"}) {
      row.push_back(text_of(agent.at(key)));
    }
    table.add(std::move(row));
  }
  return table.text();
}

/// Two columns: what, and its value.
class Sheet {
 public:
  explicit Sheet(const std::string& title) : table_({title, "value"}) {}
  void add(const std::string& label, const Json& value) { table_.add({label, text_of(value)}); }
  [[nodiscard]] std::string text() const { return table_.text(); }

 private:
  Table table_;
};

std::string model_text(const Json& model) {
  Sheet sheet("model " + text_of(model.at("model")));
  for (const auto& [label, key] : {std::pair{"phase", "phase"}, std::pair{"epoch", "epoch"}, std::pair{"map", "digest"},
                                   std::pair{"tokens", "tokens"}, std::pair{"decisions", "decisions"}}) {
    sheet.add(label, model.at(key));
  }
  sheet.add("agents", fmt::format("{} of {}", model.at("agents").size(), text_of(model.at("agents_expected"))));
  if (model.at("last_decision").is_object()) {
    for (const auto& [key, value] : model.at("last_decision").items()) sheet.add("last " + key, value);
  }
  return sheet.text() + (model.at("agents").empty() ? "" : "\n" + agents_table(model.at("agents")));
}

std::string status_text(const Json& status) {
  Sheet sheet("service");
  for (const auto& [label, key] :
       {std::pair{"version", "version"}, std::pair{"uptime, s", "uptime_seconds"}, std::pair{"term", "term"},
        std::pair{"draining", "is_draining"}, std::pair{"frozen", "is_frozen"}, std::pair{"dry run", "is_dry_run"}}) {
    sheet.add(label, status.at(key));
  }
  if (status.at("is_frozen") == true) sheet.add("frozen because", status.at("frozen_reason"));
  std::string text = sheet.text();
  for (const Json& model : status.at("models")) text += "\n" + model_text(model);
  return text;
}

Json ask(const OperateArguments& arguments, const std::string& request) {
  return value_or_exit(arguments.service.ask(request, arguments.reason));
}

/// Decisions of each model.
std::map<std::string, std::uint64_t> decisions_of(const Json& status) {
  std::map<std::string, std::uint64_t> decisions;
  for (const Json& model : status.at("models")) {
    decisions[model.at("model").get<std::string>()] = model.at("decisions").get<std::uint64_t>();
  }
  return decisions;
}

/// Asks again until every model has a decision more than it had.
Json wait_for_decisions(const OperateArguments& arguments, const Json& before) {
  const auto deadline = std::chrono::steady_clock::now() + arguments.wait;
  const auto had = decisions_of(before);
  Json status = before;
  while (std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    status = ask(arguments, "status");
    auto has = decisions_of(status);
    if (std::ranges::all_of(had, [&](const auto& model) { return has[model.first] > model.second; })) return status;
  }
  if (arguments.wait.count() == 0) return status;
  throw CommandError{
      {ErrorCode::kFailure, fmt::format("no decision within {} s; agents that are absent, or have reported "
                                        "nothing new, hold it up: see evenkeel status",
                                        arguments.wait.count())}};
}

void run(const OperateArguments& arguments, const std::string& request) {
  try {
    Json status = ask(arguments, request);
    if (request == "trigger") status = wait_for_decisions(arguments, status);
    ok_or_exit(write_output("-", arguments.json ? json_text(status) : status_text(status)));
  } catch (const Json::exception& error) {
    throw CommandError{
        {ErrorCode::kFailure, std::string("the rebalancer's answer is not understood: ") + error.what()}};
  }
}

CLI::App* add_command(CLI::App& program, const std::string& name, const std::string& help, const std::string& example,
                      std::shared_ptr<OperateArguments> arguments) {
  CLI::App* const command = program.add_subcommand(name, help);
  arguments->service.add_to(*command);
  command->add_flag("--json", arguments->json, "Print the status as JSON instead of a table");
  command->footer("Examples:\n  evenkeel " + example);
  return command;
}

}  // namespace

void add_service_commands(CLI::App& program) {
  const auto status = std::make_shared<OperateArguments>();
  add_command(program, "status", "Show what a running rebalancer does and which agents it has",
              "status --endpoint /var/lib/evenkeel", status)
      ->callback([status] { run(*status, "status"); });

  const auto freeze = std::make_shared<OperateArguments>();
  CLI::App* command = add_command(program, "freeze", "Stop a rebalancer from migrating, over its restarts too",
                                  "freeze --endpoint /var/lib/evenkeel --reason 'release in progress'", freeze);
  command->add_option("--reason", freeze->reason, "Why, for the log and for whoever asks for the status");
  command->callback([freeze] { run(*freeze, "freeze"); });

  const auto unfreeze = std::make_shared<OperateArguments>();
  add_command(program, "unfreeze", "Let a frozen rebalancer migrate again", "unfreeze --endpoint /var/lib/evenkeel",
              unfreeze)
      ->callback([unfreeze] { run(*unfreeze, "unfreeze"); });

  const auto trigger = std::make_shared<OperateArguments>();
  command = add_command(program, "trigger", "Have a rebalancer plan at the next moment, whatever its interval",
                        "trigger --endpoint /var/lib/evenkeel --wait 30s", trigger);
  command->add_option("--reason", trigger->reason, "Why, for the log");
  add_parsed(*command, "--wait", trigger->wait, parse_duration, "Wait this long for the decision")->default_str("0s");
  command->callback([trigger] { run(*trigger, "trigger"); });

  const auto dry_run = std::make_shared<OperateArguments>();
  command = add_command(program, "dry-run", "Have a rebalancer plan and say so, but migrate nothing",
                        "dry-run on --endpoint /var/lib/evenkeel", dry_run);
  command->add_option("MODE", dry_run->mode, "on or off")->required()->check(CLI::IsMember({"on", "off"}));
  command->callback([dry_run] { run(*dry_run, "dry-run-" + dry_run->mode); });
}

}  // namespace evenkeel
