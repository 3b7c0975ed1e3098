#include "cli/report/dot.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "cli/output_file.h"
#include "cli/report/plan_layers.h"
#include "engine/format/plan_tensor.h"
#include "graph/plan/read_plan.h"
#include "sparse_update/json_file.h"

namespace attune::cli {
namespace {

constexpr std::string_view kStart = "digraph \"attune ";

// A quoted text: Graphviz takes what follows a backslash as an escape of its own.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (char c : shown_name(text)) {
    if (c == '"' || c == '\\') result += '\\';
    const bool plain = static_cast<unsigned char>(c) >= ' ' && static_cast<unsigned char>(c) < 0x7f;
    result += plain ? c : '?';
  }
  return result + '"';
}

// A label of several lines.
std::string label(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    const std::string one = quoted(line);
    text += (text.empty() ? "" : "\\n") + one.substr(1, one.size() - 2);
  }
  return '"' + text + '"';
}

std::string type_of(const Value& value) {
  std::string text = dtype_name(value.dtype);
  for (int i = 0; i < value.shape.rank; ++i)
    text += (i == 0 ? " " : "x") + std::to_string(value.shape[i]);
  return text;
}

// The backward pass runs upwards, beside the forward one: as one long column, Graphviz would take
// minutes for the long lines of what is kept. So a line from gradient to gradient places nothing,
// and an invisible one the other way does.
class DotWriter {
 public:
  DotWriter(const Plan& plan, ProgramKind kind)
      : plan_(plan),
        kind_(kind),
        graph_(graph_of_plan(plan, kind, static_cast<DType>(plan.table().real()))),
        phases_(step_phases(*plan.program(kind))) {
    if (plan.table().parameters())
      for (const format::Parameter* p : *plan.table().parameters()) trained_[p->name()->str()] = p;
    const auto& steps = *plan.program(kind)->steps();
    for (int s = 0; s < static_cast<int>(phases_.size()); ++s)
      for (int32_t id : list_of(steps.Get(static_cast<unsigned>(s))->outputs()))
        if (id >= 0) step_of_[id] = s;
  }

  std::string run() {
    text_ = fmt::format(
        "{}{}\" {{\n  label={}; labelloc=t; fontname=Helvetica; nslimit=2; nslimit1=2;\n  node "
        "[shape=box, style=\"filled,rounded\", fillcolor=white, color=\"#8a94a1\", "
        "fontname=Helvetica, fontsize=10];\n  edge [color=\"#5a6675\"];\n",
        kStart, program_name(kind_),
        quoted(fmt::format("{}: {}", text_of(plan_.table().model_name()), program_name(kind_))));
    for (size_t n = 0; n < graph_.nodes.size(); ++n) add_node(n);
    for (size_t i = 0; i < graph_.outputs.size(); ++i) add_output(i);
    return text_ + "}\n";
  }

 private:
  bool add_input(ValueId id) {
    for (const Port& port : graph_.inputs) {
      if (port.value != id) continue;
      made_by_[id] = fmt::format("v{}", id);
      text_ += fmt::format("  v{} [shape=ellipse, fillcolor=\"#eef1f4\", label={}];\n", id,
                           label({port.name, type_of(graph_.value(id))}));
      return true;
    }
    return false;
  }

  void add_output(size_t index) {
    const Port& port = graph_.outputs[index];
    text_ += fmt::format("  o{} [shape=ellipse, fillcolor=\"#eef1f4\", label={}];\n", index,
                         quoted(port.name));
    add_edge(port.value, fmt::format("o{}", index), false);
  }

  // A parameter that is trained; frozen ones, and what the optimizer keeps, would hide the rest.
  bool add_parameter(ValueId id) {
    const Value& value = graph_.value(id);
    const auto parameter = trained_.find(value.origin.tensor);
    if (!value.trained || parameter == trained_.end()) return false;
    const uint64_t part = elements_trained(*parameter->second);
    const uint64_t all = elements_of(*parameter->second);
    std::string what = type_of(value);
    if (part < all) what = fmt::format("{}, {} of {} trained", what, part, all);
    made_by_[id] = fmt::format("v{}", id);
    text_ += fmt::format(
        "  v{} [shape=cylinder, fillcolor=\"#ffd166\", color=\"#b3446c\", penwidth=2, label={}];\n",
        id, label({value.name, what}));
    return true;
  }

  // A step's phase; a view's is that of what it shows.
  Phase phase_of(const Node& node) const {
    const auto step = step_of_.find(node.outputs[0]);
    if (step != step_of_.end()) return phases_[static_cast<size_t>(step->second)];
    return gradients_.contains(node.inputs[0]) ? Phase::backward : Phase::forward;
  }

  const char* colour_of(const Node& node, Phase phase) const {
    if (!step_of_.contains(node.outputs[0])) return "#ffffff\", style=\"dashed";
    const OpKind kind = op_info(node.op).kind;
    if (kind == OpKind::loss || kind == OpKind::metric) return "#e4dcf3";
    return phase == Phase::forward ? "#d5ebe6" : phase == Phase::backward ? "#f8ddc8" : "#f0cbd9";
  }

  void add_node(size_t n) {
    const Node& node = graph_.nodes[n];
    const std::string name = fmt::format("n{}", n);
    const Phase phase = phase_of(node);
    text_ +=
        fmt::format("  {} [fillcolor=\"{}\", label={}];\n", name, colour_of(node, phase),
                    label({op_name(node.op), node.name, type_of(graph_.value(node.outputs[0]))}));
    for (ValueId id : node.inputs) {
      if (id == kNone) continue;
      const bool upwards = phase == Phase::backward && gradients_.contains(id);
      // The learning rate goes to every update: its lines would hide the rest.
      if (phase == Phase::update && graph_.value(id).role == Role::input) continue;
      add_edge(id, name, upwards);
      if (upwards) text_ += fmt::format("  {} -> {} [style=invis];\n", name, made_by_[id]);
    }
    for (ValueId id : node.outputs) {
      if (id == kNone) continue;
      made_by_[id] = name;
      if (phase == Phase::backward) gradients_.insert(id);
    }
  }

  // `loose`: it places nothing.
  void add_edge(ValueId from, const std::string& to, bool loose) {
    if (!made_by_.contains(from) && !add_input(from) && !add_parameter(from)) return;
    text_ += fmt::format("  {} -> {}{};\n", made_by_[from], to, loose ? " [constraint=false]" : "");
  }

  const Plan& plan_;
  ProgramKind kind_;
  Graph graph_;
  std::vector<Phase> phases_;
  std::map<ValueId, int> step_of_;
  std::set<ValueId> gradients_;
  std::map<std::string, const format::Parameter*> trained_;
  std::map<ValueId, std::string> made_by_;
  std::string text_;
};

}  // namespace

std::string program_dot(const Plan& plan, ProgramKind kind) { return DotWriter(plan, kind).run(); }

bool is_dot_file(const std::string& path) { return file_starts_with(path, kStart); }

}  // namespace attune::cli
