#include <fmt/format.h>

#include <algorithm>

#include "pipeline/inspect/text_sections.h"
#include "pipeline/report/table.h"

namespace evenkeel {
namespace {

constexpr std::size_t kBarColumns = 16;

std::optional<double> mean_of(const std::vector<RoundAffinity>& pairs, std::optional<double> RoundAffinity::*member) {
  double sum = 0;
  double count = 0;
  for (const RoundAffinity& pair : pairs) {
    if (!(pair.*member)) continue;
    sum += *(pair.*member);
    ++count;
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

std::vector<std::string> affinity_cells(const std::string& name, const RoundAffinity& affinity) {
  return {name, figure(affinity.top_successor_ratio, 2), figure(affinity.popularity_ratio, 2),
          figure(affinity.information, 3), figure(affinity.information_noise, 4)};
}

std::string affinity_section(const Inspection& inspection, const PlotStyle& style) {
  const std::vector<RoundAffinity>& pairs = *inspection.affinity;
  std::string text = section_title("AFFINITY", "what a token's experts say about those of the next layer", style);
  Table table({"", "top successor", "popularity alone", "information", "noise"});
  table.add(
      affinity_cells(fmt::format("mean of {} pairs", pairs.size()),
                     {LayerId(0), LayerId(0), mean_of(pairs, &RoundAffinity::top_successor_ratio),
                      mean_of(pairs, &RoundAffinity::popularity_ratio), mean_of(pairs, &RoundAffinity::information),
                      mean_of(pairs, &RoundAffinity::information_noise)}));
  const auto add = [&](const char* name, const RoundAffinity& pair) {
    table.add(affinity_cells(fmt::format("{}, layer {} to {}", name, layer_number(inspection, pair.from.index()),
                                         layer_number(inspection, pair.to.index())),
                             pair));
  };
  if (pairs.size() > 1) {
    add("strongest", *std::ranges::max_element(pairs, {}, &RoundAffinity::information));
    add("weakest", *std::ranges::min_element(pairs, {}, &RoundAffinity::information));
  }
  return text + table.text();
}

std::string fan_out_section(const Inspection& inspection, const PlotStyle& style) {
  const FanOut& fan_out = *inspection.fan_out;
  std::string text = section_title("FAN-OUT", "which experts a token uses together", style);
  double experts = 0;
  double pairs = 0;
  double lift = 0;
  for (const RoundFanOut& round : fan_out.rounds) {
    experts += round.experts_per_token;
    pairs += round.pairs_share.value_or(0.0);
    lift += round.top_partner_lift.value_or(0.0);
  }
  const auto rounds = static_cast<double>(fan_out.rounds.size());
  const auto& most = *std::ranges::max_element(fan_out.rounds, {}, &RoundFanOut::top_partner_lift);
  text += fmt::format("  a token uses {:.2f} experts a round, {:.1f} over all rounds\n", experts / rounds,
                      fan_out.experts_per_token);
  if (!most.top_partner_lift) return text;
  text += fmt::format("  {:.1f} % of a layer's pairs of experts occur in some token\n", 100 * pairs / rounds);
  text += fmt::format("  an expert's top partner comes {:.2f} x as often as by chance; {:.2f} x in layer {}\n",
                      lift / rounds, *most.top_partner_lift, layer_number(inspection, most.layer.index()));
  return text;
}

double median_srp(const Grid<SegmentRouter>& experts) {
  std::vector<double> values;
  for (const SegmentRouter& expert : experts.cells()) values.push_back(expert.srp);
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::string srp_table(const Inspection& inspection, const PlotStyle& style) {
  Table table({"m", "SRP", "chance", "by layer", "expert", "on at", "size", "0 to 1"});
  for (const SegmentRouting& routing : *inspection.segment_routing) {
    const std::string name = fmt::format("{}", routing.segment_tokens);
    if (routing.segments == 0) {
      table.add({name, "-", "-", "-", "-", "-", "-", ""});
      continue;
    }
    const auto [lowest, highest] = std::ranges::minmax_element(routing.rounds, {}, &SegmentRouter::srp);
    table.add({name, figure(routing.model.srp, 3), figure(routing.model_chance, 3),
               fmt::format("{:.3f} to {:.3f}", lowest->srp, highest->srp), figure(median_srp(routing.experts), 3),
               fmt::format("{}", routing.model.threshold), figure(routing.model.size_ratio, 2),
               bar(routing.model.srp, kBarColumns, style)});
  }
  return table.text();
}

std::string sch_title(const Inspection& inspection) {
  const std::size_t tokens = inspection.segment_caches->front().tokens;
  std::string text = "hit rate of an expert cache that sees m tokens ahead";
  if (tokens < *inspection.shape.tokens) text += fmt::format(" ({} tokens)", grouped(tokens));
  return text;
}

std::string sch_table(const Inspection& inspection) {
  const std::vector<SegmentCache>& caches = *inspection.segment_caches;
  std::vector<std::size_t> lengths;
  std::vector<double> ratios;
  for (const SegmentCache& cache : caches) {
    if (std::ranges::find(lengths, cache.segment_tokens) == lengths.end()) lengths.push_back(cache.segment_tokens);
    if (std::ranges::find(ratios, cache.cache_ratio) == ratios.end()) ratios.push_back(cache.cache_ratio);
  }
  std::vector<std::string> header{"cache"};
  for (int part = 0; part < 2; ++part) {
    for (const std::size_t length : lengths) header.push_back(fmt::format("m={}", length));
  }
  Table table(header);
  table.add_group("one cache a round", 1, lengths.size());
  table.add_group("one for all rounds", 1 + lengths.size(), lengths.size());
  for (const double ratio : ratios) {
    std::vector<std::string> cells{fmt::format("{:g} x top-k", ratio)};
    for (const bool is_model : {false, true}) {
      for (const SegmentCache& cache : caches) {
        if (cache.cache_ratio == ratio) cells.push_back(figure(is_model ? cache.model : cache.router, 3));
      }
    }
    table.add(std::move(cells));
  }
  return table.text();
}

}  // namespace

std::string path_sections(const Inspection& inspection, const PlotStyle& style) {
  std::string text;
  if (inspection.affinity) text += affinity_section(inspection, style);
  if (inspection.fan_out) text += fan_out_section(inspection, style);
  if (inspection.segment_routing && !inspection.segment_routing->empty()) {
    text += section_title("SRP", "F1 of keeping an expert on or off for m tokens, at best", style);
    text += srp_table(inspection, style);
    if (!inspection.segment_caches->empty()) {
      text += section_title("SCH", sch_title(inspection), style) + sch_table(inspection);
    }
  }
  return text;
}

}  // namespace evenkeel
