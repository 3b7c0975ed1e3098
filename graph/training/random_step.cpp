#include "graph/training/random_step.h"

#include "attune/port.h"

namespace attune {

ValueId step_input(Graph& graph) {
  const char* name = port_name(PortRole::step);
  const ValueId there = graph.input(name);
  return there != kNone ? there : graph.add_input(name, DType::i32, Shape{1});
}

void draw_by_step(Graph& graph) {
  for (Node& node : graph.nodes)
    if (node.op == Op::random) node.inputs[0] = step_input(graph);
}

}  // namespace attune
