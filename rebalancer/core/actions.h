#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "agents/wire/message.h"
#include "agents/wire/note.h"
#include "partition/adaptive/policy.h"
#include "rebalancer/core/agent_registry.h"
#include "rebalancer/core/journal_record.h"

namespace evenkeel::rebalancer {

/// What the shell must do, in order. After a failed Write nothing later may happen.
struct Send {
  std::string peer;
  std::string model;
  wire::Message message;
};
struct Broadcast {
  std::string model;
  wire::Message message;
};
/// To be on the disk, all or nothing, before the next action.
struct Write {
  std::vector<JournalRecord> records;
};
/// To be on the disk before the next action, for people.
struct WriteDecision {
  DecidedRecord record;
};
/// To be on the disk, all or nothing, before the next action.
struct WriteTotals {
  std::vector<TotalRecord> records;
};
/// To be answered by PlanReady, also where the solver fails.
struct StartPlanning {
  std::string model;
  std::uint64_t plan = 0;
  PlanRequest request;
};
using Action = std::variant<Send, Broadcast, Write, WriteDecision, WriteTotals, StartPlanning, wire::Note>;
using Actions = std::vector<Action>;

/// Where all that one group decides goes, in order, each action with the group's model. Not thread-safe.
class Outbox {
 public:
  void note(std::string event, wire::Note::Fields fields) {
    actions_.push_back(wire::Note{std::move(event), std::move(fields)});
  }
  void send(const Agent& agent, wire::Message message) { send(agent.peer, model_, std::move(message)); }
  /// To whoever is no agent of this group, in the words it has for its model.
  void send(std::string peer, std::string model, wire::Message message) {
    actions_.push_back(Send{std::move(peer), std::move(model), std::move(message)});
  }
  void broadcast(wire::Message message) { actions_.push_back(Broadcast{model_, std::move(message)}); }
  void write(std::vector<JournalRecord> records) {
    for (JournalRecord& record : records) record.model = model_;
    actions_.push_back(Write{std::move(records)});
  }
  void write_decision(std::uint64_t term, DecisionRecord decision) {
    actions_.push_back(WriteDecision{{model_, term, std::move(decision)}});
  }
  void write_totals(std::vector<TotalRecord> records) {
    for (TotalRecord& record : records) record.model = model_;
    actions_.push_back(WriteTotals{std::move(records)});
  }
  void start_planning(std::uint64_t plan, PlanRequest request) {
    actions_.push_back(StartPlanning{model_, plan, std::move(request)});
  }

  /// Everything since the last call.
  [[nodiscard]] Actions take() { return std::exchange(actions_, {}); }

  /// Empty until an agent has said it.
  [[nodiscard]] const std::string& model() const { return model_; }
  void set_model(const std::string& model) { model_ = model; }

 private:
  std::string model_;
  Actions actions_;
};

}  // namespace evenkeel::rebalancer
