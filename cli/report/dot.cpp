#include "cli/report/dot.h"

#include <fmt/format.h>

#include <fstream>
#include <map>

#include "cli/report/plan_layers.h"
#include "engine/plan_generated.h"
#include "engine/plan_tensor.h"
#include "graph/read_plan.h"
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

// "a\nb" as a label of two lines.
std::string label(const std::string& first, const std::string& second) {
  std::string text = quoted(first);
  text.pop_back();
  return text + "\\n" + quoted(second).substr(1);
}

const char* colour_of(OpKind kind) {
  switch (kind) {
    case OpKind::forward:
      return "#d5ebe6";
    case OpKind::loss:
    case OpKind::metric:
      return "#e4dcf3";
    case OpKind::backward:
      return "#f8ddc8";
    case OpKind::update:
      return "#f0cbd9";
  }
  return "#ffffff";
}

std::string type_of(const Value& value) {
  std::string text = dtype_name(value.dtype);
  for (int i = 0; i < value.shape.rank; ++i)
    text += (i == 0 ? " " : "x") + std::to_string(value.shape[i]);
  return text;
}

class DotWriter {
 public:
  DotWriter(const Plan& plan, ProgramKind kind)
      : plan_(plan),
        kind_(kind),
        graph_(graph_of_plan(plan, kind, static_cast<DType>(plan.table().real()))) {
    if (plan.table().parameters())
      for (const format::Parameter* p : *plan.table().parameters()) trained_[p->name()->str()] = p;
  }

  std::string run() {
    text_ = fmt::format(
        "{}{}\" {{\n  label={}; labelloc=t; fontname=Helvetica;\n  node [shape=box, "
        "style=\"filled,rounded\", fillcolor=white, color=\"#8a94a1\", fontname=Helvetica, "
        "fontsize=10];\n  edge [color=\"#5a6675\", fontname=Helvetica, fontsize=8];\n",
        kStart, program_name(kind_),
        quoted(fmt::format("{}: {}", text_of(plan_.table().model_name()), program_name(kind_))));
    for (const Port& port : graph_.inputs) add_input(port);
    for (size_t n = 0; n < graph_.nodes.size(); ++n) add_node(n);
    for (size_t i = 0; i < graph_.outputs.size(); ++i) add_output(i);
    return text_ + "}\n";
  }

 private:
  void add_input(const Port& port) {
    made_by_[port.value] = fmt::format("v{}", port.value);
    text_ += fmt::format("  v{} [shape=ellipse, fillcolor=\"#eef1f4\", label={}];\n", port.value,
                         label(port.name, type_of(graph_.value(port.value))));
  }

  void add_output(size_t index) {
    const Port& port = graph_.outputs[index];
    text_ += fmt::format("  o{} [shape=ellipse, fillcolor=\"#eef1f4\", label={}];\n", index,
                         quoted(port.name));
    add_edge(port.value, fmt::format("o{}", index));
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
        id, label(value.name, what));
    return true;
  }

  void add_node(size_t n) {
    const Node& node = graph_.nodes[n];
    const std::string name = fmt::format("n{}", n);
    const bool view = node.op == Op::reshape;
    text_ += fmt::format("  {} [fillcolor=\"{}\"{}, label={}];\n", name,
                         view ? "#ffffff" : colour_of(op_info(node.op).kind),
                         view ? ", style=dashed" : "", label(op_name(node.op), node.name));
    for (ValueId id : node.inputs)
      if (id != kNone) add_edge(id, name);
    for (ValueId id : node.outputs)
      if (id != kNone) made_by_[id] = name;
  }

  void add_edge(ValueId from, const std::string& to) {
    if (!made_by_.contains(from) && !add_parameter(from)) return;
    text_ += fmt::format("  {} -> {} [label={}];\n", made_by_[from], to,
                         quoted(type_of(graph_.value(from))));
  }

  const Plan& plan_;
  ProgramKind kind_;
  Graph graph_;
  std::map<std::string, const format::Parameter*> trained_;
  std::map<ValueId, std::string> made_by_;
  std::string text_;
};

}  // namespace

std::string program_dot(const Plan& plan, ProgramKind kind) { return DotWriter(plan, kind).run(); }

bool is_dot_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string start(kStart.size(), '\0');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  return file.good() && start == kStart;
}

}  // namespace attune::cli
