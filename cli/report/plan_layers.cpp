#include "cli/report/plan_layers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cassert>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "engine/format/parameter_tensor.h"
#include "engine/format/plan_tensor.h"
#include "graph/rules/cut.h"

namespace attune::cli {
namespace {

// Losses and metrics; gradients of losses are the backward operators that mix the examples.
bool is_loss_op(Op op) {
  const OpKind kind = op_info(op).kind;
  return kind == OpKind::loss || kind == OpKind::metric ||
         (kind == OpKind::backward && signature(op).input(0).axes[0].mixed);
}

// Whether an operator takes rows of its first operand, which ids name.
bool looks_up_rows(Op op) {
  const Signature& row = signature(op);
  return op_info(op).kind == OpKind::forward && row.inputs == 2 &&
         row.input(1).operand_type() == OperandType::places &&
         row.input(0).axes[0].kind == SignatureAxis::named;
}

// Whether an operator puts the trained and the frozen part of a weight together: what the first
// leaves of an axis (L) is the second.
bool joins_parts(Op op) { return signature(op).find("L") != kNoName; }

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// "conv1" of "conv1/rows24" and "conv1/again", as tiling and rematerialisation call their steps.
std::string layer_name(std::string name) {
  for (size_t slash = name.rfind('/'); slash != std::string::npos; slash = name.rfind('/')) {
    const std::string_view last = std::string_view(name).substr(slash + 1);
    if (last != "again" && !(last.starts_with("rows") && all_digits(last.substr(4)))) break;
    name.resize(slash);
  }
  return name;
}

class Finder {
 public:
  Finder(const format::Plan& plan, const format::Program& program, const ArenaTrace& trace,
         const std::vector<Phase>& phases)
      : plan_(plan), program_(program), trace_(trace), phases_(phases) {
    found_.of_step.assign(trace.reads.size(), kUnknown);
    readers_.resize(trace.reads.size());
    for (const ArenaContent& content : trace.contents)
      if (content.step >= 0)
        for (int reader : content.readers)
          readers_[static_cast<size_t>(content.step)].push_back(reader);
  }

  PlanLayers run() {
    find_layers();
    assign_forward();
    assign_updates();
    assign_gradients();
    add_parameters();
    return std::move(found_);
  }

 private:
  static constexpr int kUnknown = -3;
  using Place = std::pair<format::Segment, uint64_t>;

  int steps() const { return static_cast<int>(trace_.reads.size()); }
  const format::Step& step(int s) const { return *program_.steps()->Get(static_cast<unsigned>(s)); }
  Op op(int s) const { return static_cast<Op>(step(s).op()); }
  Phase phase(int s) const { return phases_[static_cast<size_t>(s)]; }
  int& layer(int s) { return found_.of_step[static_cast<size_t>(s)]; }
  const format::Tensor& tensor(int32_t id) const {
    return *program_.tensors()->Get(static_cast<unsigned>(id));
  }
  int32_t input(int s, size_t i) const {
    const auto inputs = list_of(step(s).inputs());
    return i < inputs.size() ? inputs[i] : -1;
  }
  bool is_parameter(int32_t id) const {
    return id >= 0 && (tensor(id).segment() == format::Segment::constants ||
                       tensor(id).segment() == format::Segment::state);
  }
  // Of a weight that is put together of two parts, the trained one.
  int32_t parameter_behind(int32_t id) const {
    const auto found = whole_of_.find(id);
    return found == whole_of_.end() ? id : found->second;
  }
  static uint64_t elements(const format::Tensor& tensor) {
    return static_cast<uint64_t>(described_tensor(tensor).shape.elements());
  }

  void find_layers() {
    std::map<std::pair<int32_t, std::string>, int> known;
    std::vector<int32_t> made;  // the first tensor that each layer makes: later layers, larger ids
    for (int s = 0; s < steps(); ++s)
      if (joins_parts(op(s))) whole_of_[list_of(step(s).outputs())[0]] = input(s, 0);
    for (int s = 0; s < steps(); ++s) {
      const WeightAxes axes = weight_axes(op(s), 1);
      // A loss looks up a table of its own.
      const bool table =
          looks_up_rows(op(s)) && !std::string_view(text_of(step(s).name())).starts_with("loss/");
      if ((!axes && !table) || phase(s) != Phase::forward) continue;
      const int32_t operand = input(s, axes ? 1 : 0), weight = parameter_behind(operand);
      if (!is_parameter(weight)) continue;
      const int32_t y = list_of(step(s).outputs())[0];
      const std::string name = layer_name(text_of(step(s).name()));
      const auto [at, fresh] = known.try_emplace({weight, name}, static_cast<int>(made.size()));
      layer(s) = at->second;
      if (!fresh) continue;
      // Strips are made after everything else; what is tiled comes first in a model.
      made.push_back(name == text_of(step(s).name()) ? y : -1);
      PlanLayer found;
      found.name = name, found.op = op_name(op(s)), found.weight = weight;
      found.one_filter_a_channel = axes && axes.input == axes.output;
      found.weight_elements = elements(tensor(operand));
      if (const auto* shape = tensor(operand).shape())
        found.weight_shape = fmt::format("{}", fmt::join(shape->begin(), shape->end(), "x"));
      found_.layers.push_back(std::move(found));
    }
    sort_layers(made);
  }

  void sort_layers(const std::vector<int32_t>& made) {
    std::vector<int> order(made.size()), place(made.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return made[static_cast<size_t>(a)] < made[static_cast<size_t>(b)];
    });
    std::vector<PlanLayer> sorted;
    for (int i : order) {
      place[static_cast<size_t>(i)] = static_cast<int>(sorted.size());
      sorted.push_back(std::move(found_.layers[static_cast<size_t>(i)]));
    }
    found_.layers = std::move(sorted);
    for (int& l : found_.of_step)
      if (l >= 0) l = place[static_cast<size_t>(l)];
  }

  // The latest layer that made something that a step reads.
  int layer_of_inputs(int s, bool gradients_too) {
    int latest = kUnknown;
    for (const ArenaTrace::Read& read : trace_.reads[static_cast<size_t>(s)]) {
      const int writer = trace_.contents[static_cast<size_t>(read.content)].step;
      if (writer >= 0 && (gradients_too || phase(writer) == Phase::forward))
        latest = std::max(latest, layer(writer));
    }
    return latest;
  }

  void assign_forward() {
    for (int s = 0; s < steps(); ++s) {
      if (is_loss_op(op(s))) layer(s) = PlanLayers::kLoss;
      if (phase(s) != Phase::forward || layer(s) != kUnknown) continue;
      layer(s) = std::max<int>(layer_of_inputs(s, false), PlanLayers::kInput);
    }
    // What only prepares a layer's parameters, or its rows, belongs to that layer.
    for (int s = steps() - 1; s >= 0; --s) {
      if (phase(s) != Phase::forward || layer(s) != PlanLayers::kInput || reads_arena(s)) continue;
      int first = kUnknown;
      for (int reader : readers_[static_cast<size_t>(s)])
        if (reader < steps() && layer(reader) >= 0 && (first < 0 || layer(reader) < first))
          first = layer(reader);
      if (first >= 0) layer(s) = first;
    }
  }

  bool reads_arena(int s) const { return !trace_.reads[static_cast<size_t>(s)].empty(); }

  Place place(int32_t id) const { return {tensor(id).segment(), tensor(id).offset()}; }

  // Layers by their parameters in the state, by what reads these in the forward pass.
  void assign_updates() {
    for (int s = 0; s < steps(); ++s) {
      if (phase(s) != Phase::forward || layer(s) < 0) continue;
      for (int32_t id : list_of(step(s).inputs()))
        if (is_parameter(id)) of_parameter_.try_emplace(place(id), layer(s));
    }
    for (int s = 0; s < steps(); ++s) {
      if (phase(s) != Phase::update || input(s, 0) < 0) continue;
      const auto at = of_parameter_.find(place(input(s, 0)));
      layer(s) = at == of_parameter_.end() ? PlanLayers::kLoss : at->second;
    }
  }

  void assign_gradients() {
    // What leads to nothing but one layer's updates is that layer's.
    for (int s = steps() - 1; s >= 0; --s) {
      if (phase(s) != Phase::backward || layer(s) != kUnknown) continue;
      std::set<int> led_to;
      for (int reader : readers_[static_cast<size_t>(s)])
        led_to.insert(reader < steps() ? layer(reader) : kUnknown);
      if (led_to.size() == 1) layer(s) = *led_to.begin();
      for (int32_t id : list_of(step(s).inputs())) add_weight_reader(s, id);
    }
    for (int s = 0; s < steps(); ++s) {
      if (phase(s) != Phase::backward || layer(s) != kUnknown) continue;
      layer(s) = layer_of_inputs(s, false);
      if (layer(s) < 0) layer(s) = std::max<int>(layer_of_inputs(s, true), PlanLayers::kLoss);
    }
  }

  // A gradient that is computed with a layer's weight is that layer's.
  void add_weight_reader(int s, int32_t operand) {
    const int32_t id = parameter_behind(operand);
    if (!is_parameter(id)) return;
    for (size_t l = 0; l < found_.layers.size(); ++l)
      if (found_.layers[l].weight == id) layer(s) = static_cast<int>(l);
  }

  // A layer's bias, or gamma and beta of its batch norm; not the norm's statistics.
  std::vector<int32_t> other_parameters(int s) const {
    std::vector<int32_t> ids;
    if (op(s) == Op::batch_norm || op(s) == Op::batch_norm_train)
      ids = {input(s, 1), input(s, 2)};
    else if (const int bias = bias_input(op(s)); bias >= 0)
      ids = {input(s, static_cast<size_t>(bias))};
    if (op(s) == Op::add && reads_arena(s))
      for (int32_t id : list_of(step(s).inputs()))
        if (is_parameter(id)) ids.push_back(id);
    std::erase_if(ids, [](int32_t id) { return id < 0; });
    return ids;
  }

  void add_parameters() {
    std::set<std::pair<int, Place>> counted;
    for (int s = 0; s < steps(); ++s) {
      if (phase(s) != Phase::forward || layer(s) < 0) continue;
      PlanLayer& owner = found_.layers[static_cast<size_t>(layer(s))];
      for (int32_t id : other_parameters(s))
        if (counted.insert({layer(s), place(id)}).second)
          owner.other_elements += elements(tensor(id));
    }
    if (!plan_.parameters()) return;
    for (const format::Parameter* p : *plan_.parameters()) add_trained(*p);
  }

  void add_trained(const format::Parameter& p) {
    const auto at = of_parameter_.find({format::Segment::state, p.state_offset()});
    if (at == of_parameter_.end()) return;
    PlanLayer& owner = found_.layers[static_cast<size_t>(at->second)];
    owner.fresh = owner.fresh || p.head();
    if (place(owner.weight) != at->first) {
      owner.trained_other += elements_trained(p);
      return;
    }
    owner.trained_weight += elements_trained(p);
    if (p.slice_axis() < 0) return;
    const auto axis = static_cast<unsigned>(p.slice_axis());
    owner.slice = fmt::format("{} of {} {}channels", p.slice()->size(), p.shape()->Get(axis),
                              owner.one_filter_a_channel ? ""
                              : model_slice_axis(p) == 0 ? "output "
                                                         : "input ");
  }

  const format::Plan& plan_;
  const format::Program& program_;
  const ArenaTrace& trace_;
  const std::vector<Phase>& phases_;
  PlanLayers found_;
  std::vector<std::vector<int>> readers_;  // by step: the steps that read what it makes
  std::map<Place, int> of_parameter_;
  std::map<int32_t, int32_t> whole_of_;  // of what interleave makes, its first operand
};

}  // namespace

uint64_t elements_of(const format::Parameter& parameter) {
  uint64_t elements = 1;
  for (int32_t d : *parameter.shape()) elements *= static_cast<uint64_t>(d);
  return elements;
}

uint64_t elements_trained(const format::Parameter& parameter) {
  if (parameter.statistic()) return 0;
  const uint64_t all = elements_of(parameter);
  if (parameter.slice_axis() < 0) return all;
  const auto axis = static_cast<unsigned>(parameter.slice_axis());
  return all / static_cast<uint64_t>(parameter.shape()->Get(axis)) * parameter.slice()->size();
}

PlanLayers find_plan_layers(const format::Plan& plan, const format::Program& program,
                            const ArenaTrace& trace, const std::vector<Phase>& phases) {
  return Finder(plan, program, trace, phases).run();
}

}  // namespace attune::cli
