#include "graph/rules/rules.h"

namespace attune {

// dx = the sum of the slices of dy that came from each one of x
void gradient_select(GradientContext& g) {
  const Shape x = g.graph().shape(g.x(0));
  g.set(0, g.emit(Op::scatter_add, g.node().as<AxisAttrs>(), {g.dy(), g.x(1)}, "grad", &x));
}

// dx = the slices of dy that x was added to
void gradient_scatter_add(GradientContext& g) {
  g.set(0, g.emit(Op::select, g.node().as<AxisAttrs>(), {g.dy(), g.x(1)}, "grad"));
}

// dx = the sum of the rows of dy that came from each one of x
void gradient_take_along(GradientContext& g) {
  const Shape x = g.graph().shape(g.x(0));
  g.set(0, g.emit(Op::add_along, NoAttrs{}, {g.dy(), g.x(1)}, "grad", &x));
}

// dx = the rows of dy that x was added to
void gradient_add_along(GradientContext& g) {
  g.set(0, g.emit(Op::take_along, NoAttrs{}, {g.dy(), g.x(1)}, "grad"));
}

// dx = dy, summed in the other direction
void gradient_cumsum(GradientContext& g) {
  auto attrs = g.node().as<CumsumAttrs>();
  attrs.reverse = !attrs.reverse;
  g.set(0, g.emit(Op::cumsum, attrs, {g.dy()}, "grad"));
}

// dx = dy at the places that were taken, else 0
void gradient_top_k(GradientContext& g) {
  Graph& graph = g.graph();
  const Shape x = graph.shape(g.x(0)), y = graph.shape(g.y());
  const auto rows = static_cast<int32_t>(x.elements() / x.last());
  const ValueId places = graph.reshape(g.saved(1), {rows, y.last()}, g.node().name + "/places");
  const ValueId dy = g.reshape(g.dy(), {rows, y.last(), 1});
  const Shape flat{rows, x.last(), 1};
  g.set(0, g.reshape(g.emit(Op::add_along, NoAttrs{}, {dy, places}, "grad", &flat), x));
}

// dx = dy shared by the largest elements
void gradient_reduce_max(GradientContext& g) {
  const int last = g.graph().shape(g.x(0)).rank - 1;
  const ValueId largest = g.emit(Op::equal, NoAttrs{}, {g.x(0), g.y()}, "largest");
  const ValueId count = g.emit(Op::reduce, ReduceAttrs{.axes = 1 << last}, {largest}, "count");
  const ValueId part = g.emit(Op::div, NoAttrs{}, {g.dy(), count}, "share");
  g.set(0, g.emit(Op::mul, NoAttrs{}, {largest, part}, "grad"));
}

// dx = dy * the product of the others
void gradient_reduce_prod(GradientContext& g) {
  g.set(0, g.emit(Op::reduce_prod_grad, NoAttrs{}, {g.dy(), g.x(0)}, "grad"));
}

}  // namespace attune
