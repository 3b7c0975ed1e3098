// What must hold of a graph after every pass.
#include <set>
#include <unordered_set>

#include "graph/ir/graph.h"
#include "graph/memory/storage.h"
#include "graph/rules/rules.h"

namespace attune {
namespace {

class Verifier {
 public:
  explicit Verifier(const Graph& graph)
      : graph_(graph), made_(graph.values.size(), false), updated_(graph.values.size(), false) {}

  void run() {
    check_values();
    check_ports(graph_.inputs, "input");
    for (const Port& port : graph_.inputs)
      if (graph_.value(port.value).role != Role::input)
        fail("input port '{}': '{}' is not an input", port.name, graph_.value(port.value).name);
    for (const Node& node : graph_.nodes) check_node(node);
    check_repeat();
    check_ports(graph_.outputs, "output");
    for (const Port& port : graph_.outputs)
      if (!readable(port.value))
        fail("output port '{}': nothing makes '{}'", port.name, graph_.value(port.value).name);
  }

 private:
  template <class... Args>
  [[noreturn]] static void fail(fmt::format_string<Args...> format, Args&&... args) {
    throw_error("bad graph (a bug of Attune): {}",
                fmt::format(format, std::forward<Args>(args)...));
  }

  bool exists(ValueId id) const {
    return id >= 0 && id < static_cast<ValueId>(graph_.values.size());
  }

  bool readable(ValueId id) const {
    if (graph_.value(id).role == Role::input) return ports_.contains(id);
    return graph_.value(id).role != Role::temporary || made_[id];
  }

  // Kept from run to run.
  bool is_held(ValueId id) const {
    const Role role = graph_.value(id).role;
    return role == Role::parameter || role == Role::state || role == Role::statistic;
  }

  void check_values() {
    std::unordered_set<std::string> names;
    for (const Value& value : graph_.values) {
      if (value.name.empty() || !names.insert(value.name).second)
        fail("two values named '{}'", value.name);
      if (value.lies_in != kNone) check_place(value);
      const bool known = value.role == Role::constant || value.role == Role::parameter ||
                         value.role == Role::statistic;
      if (known != (value.data != nullptr))
        fail("value '{}' {}", value.name,
             known ? "has no data" : "has data but no constant's role");
      if (value.role == Role::parameter && !is_real(value.dtype))
        fail("parameter '{}' is {}", value.name, type_text(value));
      if (!known) continue;
      const Data& data = *value.data;
      if (static_cast<int64_t>(data.size()) != value.shape.elements() ||
          data.is_real() != is_real(value.dtype) || value.dtype == DType::mask)
        fail("value '{}' {}: {} {}", value.name, type_text(value), data.size(),
             data.is_real() ? "reals" : "integers");
    }
  }

  void check_place(const Value& value) {
    if (!exists(value.lies_in)) fail("value '{}' lies in no value", value.name);
    const Value& root = graph_.value(value.lies_in);
    if (value.role != Role::temporary || value.updates != kNone || value.lies_at < 0 ||
        root.role == Role::constant || root.updates != kNone || root.lies_in != kNone ||
        root.dtype != value.dtype || (value.dtype == DType::mask && value.lies_at > 0))
      fail("value '{}' {} cannot lie {} elements into '{}' {}", value.name, type_text(value),
           value.lies_at, root.name, type_text(root));
  }

  void check_ports(const std::vector<Port>& ports, const char* kind) {
    std::set<std::string> names;
    for (const Port& port : ports) {
      if (!exists(port.value)) fail("{} port '{}': no value {}", kind, port.name, port.value);
      if (!names.insert(port.name).second) fail("two {} ports '{}'", kind, port.name);
      if (&ports == &graph_.inputs) ports_.insert(port.value);
    }
  }

  void check_node(const Node& node) {
    for (ValueId id : node.inputs) {
      if (id == kNone) continue;
      if (!exists(id)) fail("{} '{}': no value {}", op_name(node.op), node.name, id);
      const std::string& name = graph_.value(id).name;
      if (!readable(id))
        fail("{} '{}' reads '{}' before it is made", op_name(node.op), node.name, name);
      if (updated_[id])
        fail("{} '{}' reads '{}' after its update", op_name(node.op), node.name, name);
    }
    if (node.output(0) == kNone) fail("{} '{}' has no output 0", op_name(node.op), node.name);
    for (ValueId id : node.outputs)
      if (id != kNone && !exists(id)) fail("{} '{}': no value {}", op_name(node.op), node.name, id);
    const Shape wanted = graph_.shape(node.outputs[0]);
    std::vector<Tensor> inferred;
    try {
      inferred = infer_outputs(graph_, node, &wanted);
    } catch (const Error& error) {
      fail("{}", error.what());
    }
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i] != kNone) check_output(node, static_cast<int>(i), inferred[i]);
    if (op_info(node.op).kind != OpKind::update) return;
    for (int i = 0; i < op_info(node.op).max_outputs; ++i) {
      if (node.output(i) == kNone) fail("{} '{}' has no output {}", op_name(node.op), node.name, i);
      const ValueId old = node.inputs[updated_input(node.op, i)];
      updated_[old] = updated_[graph_.root(old)] = true;
    }
  }

  void check_output(const Node& node, int i, const Tensor& inferred) {
    const ValueId id = node.outputs[i];
    const Value& value = graph_.value(id);
    if (value.role != Role::temporary)
      fail("{} '{}' writes '{}', which is no temporary", op_name(node.op), node.name, value.name);
    if (made_[id]) fail("two nodes make '{}'", value.name);
    made_[id] = true;
    if (value.dtype != inferred.dtype || !(value.shape == inferred.shape))
      fail("{} '{}': output '{}' is {}, not {}{}", op_name(node.op), node.name, value.name,
           type_text(value), dtype_name(inferred.dtype), shape_text(inferred.shape));
    if (value.lies_in != kNone && is_held(value.lies_in) && !is_view(graph_, node))
      fail("{} '{}' writes into '{}'", op_name(node.op), node.name,
           graph_.value(value.lies_in).name);
    const int updated = updated_input(node.op, i);
    const ValueId old = updated < 0 ? kNone : node.inputs[updated];
    if (value.updates != old)
      fail("{} '{}': output '{}' does not name the value it updates", op_name(node.op), node.name,
           value.name);
    if (old == kNone) return;
    const Value& before = graph_.value(old);
    if (!is_held(graph_.root(old)) && before.updates == kNone)
      fail("{} '{}' updates '{}', which is neither a parameter nor state", op_name(node.op),
           node.name, before.name);
    if (graph_.is_output(old) || graph_.is_output(graph_.root(old)))
      fail("{} '{}' overwrites '{}', an output of the graph", op_name(node.op), node.name,
           before.name);
  }

  void check_repeat() {
    const Repeat& repeat = graph_.repeat;
    if (repeat.begin < 0 || repeat.end < repeat.begin || repeat.count < 1 ||
        repeat.end > static_cast<NodeId>(graph_.nodes.size()))
      fail("nodes {} .. {} {} times", repeat.begin, repeat.end, repeat.count);
    for (const auto& [before, after] : repeat.carried)
      if (!exists(before) || !exists(after) || repeat.contains(graph_.value(before).producer) ||
          !repeat.contains(graph_.value(after).producer) ||
          graph_.value(after).dtype != graph_.value(before).dtype ||
          !(graph_.shape(after) == graph_.shape(before)))
        fail("nodes {} .. {} carry a value to another", repeat.begin, repeat.end);
    for (const Value& value : graph_.values)
      if (value.advance != 0 && value.producer != kNone &&
          (!repeat.contains(value.producer) || graph_.nodes[value.producer].op != Op::slice))
        fail("'{}' moves, and is no slice that is repeated", value.name);
  }

  const Graph& graph_;
  std::vector<bool> made_, updated_;
  std::unordered_set<ValueId> ports_;
};

}  // namespace

void Graph::verify() const { Verifier(*this).run(); }

}  // namespace attune
