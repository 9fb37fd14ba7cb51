#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "rebalancer/core/core.h"

namespace evenkeel::rebalancer {

struct GroupsOptions {
  /// Of every model and EP group that has none of its own below.
  CoreOptions defaults;
  /// By the model's name in the topic. Others are refused, unless this is empty.
  std::map<std::string, CoreOptions> models;
  /// Most models at once, so that names that nobody meant cannot fill the memory. Range [1, 1,024].
  std::size_t models_max = 16;

  /// Fails with kInvalidInput, naming the option, its value and the range.
  [[nodiscard]] Status validate() const;
};

/// All models and EP groups that one service looks after, each with a Core of its own: step(event, now) -> actions,
/// where Control and Reconfigured (of the defaults) are for all. Pure. Not thread-safe. Cost: a Core's, and a look-up.
class Groups {
 public:
  /// Fails as Core::create() does.
  [[nodiscard]] static Result<Groups> create(GroupsOptions options, Recovery recovery);

  [[nodiscard]] Actions step(const Event& event, TimePoint now);

  /// By model. A group is there from its first HELLO, or because the journal knows it.
  [[nodiscard]] const std::map<std::string, Core>& cores() const { return cores_; }
  [[nodiscard]] std::uint64_t term() const { return term_; }
  /// Sum over groups; messages for models that are none of ours are among messages_from_unknown.
  [[nodiscard]] CoreCounters counters() const;

 private:
  Groups(GroupsOptions options, std::uint64_t term) : options_(std::move(options)), term_(term) {}

  [[nodiscard]] Actions receive(const Received& received, TimePoint now);
  [[nodiscard]] Actions tell_all(const Event& event, TimePoint now);
  /// The options of a model that may be served, or none.
  [[nodiscard]] std::optional<CoreOptions> options_of(const std::string& model) const;
  [[nodiscard]] Core& add(const std::string& model, CoreOptions options, TimePoint now, Actions& actions);

  GroupsOptions options_;
  std::uint64_t term_;
  std::map<std::string, Core> cores_;
  /// What an operator has asked of all holds for groups to come.
  std::map<Control::Command, Control> standing_;
  std::uint64_t messages_for_others_ = 0;
  /// Of groups that never came to be.
  CoreCounters refused_;
};

}  // namespace evenkeel::rebalancer
