#include "pipeline/report/plan_report.h"

#include <fmt/format.h>

#include "pipeline/report/table.h"

namespace evenkeel {
namespace {

using nlohmann::ordered_json;

ordered_json seconds_or_null(const std::optional<std::chrono::duration<double>>& time) {
  return time ? ordered_json(time->count()) : ordered_json(nullptr);
}

ordered_json epoch_json(const MigrationEpoch& epoch, std::span<const int> layer_ids, bool has_lost) {
  ordered_json copies = ordered_json::array();
  for (const auto& [copy, is_from_storage, round] : epoch.transfers.copies) {
    copies.push_back({{"layer", layer_ids[copy.layer.index()]},
                      {"expert", copy.expert.index()},
                      {"from", is_from_storage ? ordered_json(nullptr) : ordered_json(copy.from.index())},
                      {"to", copy.to.index()},
                      {"round", round}});
  }
  ordered_json json{{"copies", std::move(copies)},
                    {"rounds", epoch.transfers.rounds},
                    {"bytes_intra", epoch.transfers.intra_node_bytes},
                    {"bytes_inter", epoch.transfers.inter_node_bytes},
                    {"seconds", epoch.transfers.time.count()}};
  if (has_lost) json["bytes_storage"] = epoch.transfers.storage_bytes;
  return json;
}

/// Bytes of copies by where they come from.
struct CopiedBytes {
  double intra;
  double inter;
  /// Absent where no GPU is lost.
  std::optional<double> storage;
};

std::vector<std::string> cells(std::string name, std::size_t copies, std::size_t rounds, const CopiedBytes& bytes,
                               std::chrono::duration<double> time) {
  std::vector<std::string> row{std::move(name), fmt::format("{}", copies), fmt::format("{}", rounds),
                               fmt::format("{:.1f}", bytes.intra * 1e-6), fmt::format("{:.1f}", bytes.inter * 1e-6)};
  if (bytes.storage) row.push_back(fmt::format("{:.1f}", *bytes.storage * 1e-6));
  row.push_back(fmt::format("{:.3f}", time.count() * 1e3));
  return row;
}

}  // namespace

ordered_json plan_json(const MigrationPlan& plan, const PlanVerdict& verdict, std::span<const int> layer_ids) {
  ordered_json epochs = ordered_json::array();
  for (const MigrationEpoch& epoch : plan.epochs) epochs.push_back(epoch_json(epoch, layer_ids, plan.has_lost));
  ordered_json json{
      {"schema", "evenkeel.plan/1"},
      {"epochs", std::move(epochs)},
      {"moves", plan.moves},
      {"churn", plan.churn},
      {"moved_bytes", plan.intra_node_bytes + plan.inter_node_bytes + plan.storage_bytes},
      {"bytes_intra", plan.intra_node_bytes},
      {"bytes_inter", plan.inter_node_bytes},
      {"rounds", plan.rounds},
      {"seconds", plan.time.count()},
      {"stall_seconds", verdict.stall.count()},
      {"step_seconds_before", seconds_or_null(verdict.step_before)},
      {"step_seconds_after", seconds_or_null(verdict.step_after)},
      {"verdict", verdict.is_adopt ? ordered_json(*verdict.is_adopt ? "adopt" : "keep") : ordered_json(nullptr)},
      {"reason", verdict.reason}};
  if (plan.has_lost) json["bytes_storage"] = plan.storage_bytes;
  return json;
}

std::string plan_table(const MigrationPlan& plan, const PlanVerdict& verdict) {
  std::vector<std::string> header{"epoch", "copies", "rounds", "MB in nodes", "MB between nodes"};
  if (plan.has_lost) header.push_back("MB from storage");
  header.push_back("ms");
  Table table(std::move(header));
  const auto storage = [&](double bytes) { return plan.has_lost ? std::optional(bytes) : std::nullopt; };
  for (std::size_t i = 0; i < plan.epochs.size(); ++i) {
    const Transfers& transfers = plan.epochs[i].transfers;
    table.add(cells(fmt::format("{}", i + 1), transfers.copies.size(), transfers.rounds,
                    {transfers.intra_node_bytes, transfers.inter_node_bytes, storage(transfers.storage_bytes)},
                    transfers.time));
  }
  table.add(cells("all", plan.moves, plan.rounds,
                  {plan.intra_node_bytes, plan.inter_node_bytes, storage(plan.storage_bytes)}, plan.time));
  const std::string stall = fmt::format("{:.2f} % of the slots get another expert; serving stalls for {:.3f} ms\n",
                                        plan.churn * 100, verdict.stall.count() * 1e3);
  const char* const word = !verdict.is_adopt ? "no verdict" : *verdict.is_adopt ? "adopt" : "keep";
  return table.text() + stall + fmt::format("{}: {}\n", word, verdict.reason);
}

}  // namespace evenkeel
