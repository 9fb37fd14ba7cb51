#include "partition/model/arrangement.h"

#include <algorithm>
#include <utility>

#include "partition/foundation/check.h"

namespace evenkeel {
namespace {

/// Adds sign x traffic of one item to a row of affinities.
void add_scaled(std::span<double> affinities, std::span<const float> traffic, double sign) {
  for (std::size_t k = 0; k < affinities.size(); ++k) affinities[k] += sign * static_cast<double>(traffic[k]);
}

}  // namespace

Arrangement::Arrangement(const Instance& instance, Assignment assignment)
    : instance_(&instance), assignment_(std::move(assignment)), gpu_load_(instance.layers(), instance.gpus) {
  EVENKEEL_CHECK(assignment_.rows() == instance.layers() && assignment_.cols() == instance.items(),
                 "assignment is of the instance");
  if (instance.has_replicas()) copies_.assign(instance.layers(), Grid<std::uint8_t>(instance.experts, instance.gpus));
  if (instance.has_traffic()) {
    gpu_affinity_.assign(instance.layers(), Grid<double>(instance.gpus, instance.items()));
    if (instance.nodes > 1) node_affinity_.assign(instance.layers(), Grid<double>(instance.nodes, instance.items()));
  }
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    for (std::size_t item = 0; item < instance.items(); ++item) {
      const std::size_t gpu = assignment_(layer, item);
      gpu_load_(layer, gpu) += instance.load_units(layer, item);
      add_copy(layer, item, gpu, 1);
      for (const Neighbour& other : instance.neighbours[layer]) {
        add_scaled(gpu_affinity_[other.layer][gpu], other.traffic[item], 1.0);
        if (instance.nodes > 1)
          add_scaled(node_affinity_[other.layer][instance.node_of(gpu)], other.traffic[item], 1.0);
      }
    }
  }
}

double Arrangement::swap_gain(std::size_t layer, std::size_t i, std::size_t j) const {
  if (!instance_->has_traffic()) return 0.0;
  const std::size_t a = assignment_(layer, i);
  const std::size_t b = assignment_(layer, j);
  const Grid<double>& on_gpu = gpu_affinity_[layer];
  double gpu_change = on_gpu(b, i) - on_gpu(a, i) + on_gpu(a, j) - on_gpu(b, j);
  double node_change = 0;
  const bool crosses_nodes = instance_->nodes > 1 && instance_->node_of(a) != instance_->node_of(b);
  if (crosses_nodes) {
    const Grid<double>& on_node = node_affinity_[layer];
    const std::size_t m = instance_->node_of(a);
    const std::size_t n = instance_->node_of(b);
    node_change = on_node(n, i) - on_node(m, i) + on_node(m, j) - on_node(n, j);
  }
  // With several rounds over one layer an item's affinity counts the other item, which moves too, and itself.
  for (const Neighbour& own : instance_->neighbours[layer]) {
    if (own.layer != layer) continue;
    const double change = static_cast<double>(own.traffic(i, i)) + static_cast<double>(own.traffic(j, j)) -
                          2.0 * static_cast<double>(own.traffic(i, j));
    gpu_change += change;
    if (crosses_nodes) node_change += change;
  }
  return instance_->gpu_gain * gpu_change + instance_->node_gain * node_change;
}

bool Arrangement::swap_duplicates(std::size_t layer, std::size_t i, std::size_t j) const {
  if (!instance_->has_replicas()) return false;
  const auto expert_i = instance_->expert_of_item(layer, i);
  const auto expert_j = instance_->expert_of_item(layer, j);
  if (expert_i == expert_j) return true;
  return copies_[layer](expert_i, assignment_(layer, j)) > 0 || copies_[layer](expert_j, assignment_(layer, i)) > 0;
}

void Arrangement::add_copy(std::size_t layer, std::size_t item, std::size_t gpu, int change) {
  if (!instance_->has_replicas()) return;
  std::uint8_t& copies = copies_[layer](instance_->expert_of_item(layer, item), gpu);
  copies = static_cast<std::uint8_t>(copies + change);
}

void Arrangement::move(std::size_t layer, std::size_t item, std::size_t to) {
  const std::size_t from = assignment_(layer, item);
  if (from == to) return;
  gpu_load_(layer, from) -= instance_->load_units(layer, item);
  gpu_load_(layer, to) += instance_->load_units(layer, item);
  add_copy(layer, item, from, -1);
  add_copy(layer, item, to, 1);
  const bool crosses_nodes = instance_->nodes > 1 && instance_->node_of(from) != instance_->node_of(to);
  for (const Neighbour& other : instance_->neighbours[layer]) {
    add_scaled(gpu_affinity_[other.layer][from], other.traffic[item], -1.0);
    add_scaled(gpu_affinity_[other.layer][to], other.traffic[item], 1.0);
    if (!crosses_nodes) continue;
    add_scaled(node_affinity_[other.layer][instance_->node_of(from)], other.traffic[item], -1.0);
    add_scaled(node_affinity_[other.layer][instance_->node_of(to)], other.traffic[item], 1.0);
  }
  assignment_(layer, item) = static_cast<GpuIndex>(to);
}

void Arrangement::swap(std::size_t layer, std::size_t i, std::size_t j) {
  const std::size_t a = assignment_(layer, i);
  const std::size_t b = assignment_(layer, j);
  move(layer, i, b);
  move(layer, j, a);
}

void Arrangement::assign_layer(std::size_t layer, std::span<const GpuIndex> gpu_of_item) {
  for (std::size_t item = 0; item < instance_->items(); ++item) move(layer, item, gpu_of_item[item]);
}

}  // namespace evenkeel
