#include "graph/rules/rules.h"

namespace attune {
namespace {

// An optional output of the node that was emitted last.
ValueId also(GradientContext& g, int output) {
  return g.graph().want_output(g.graph().nodes.back(), output);
}

// The sum over examples and steps of d[N,T,D,A] times state[N,T,D,H]: [D,A,H].
ValueId weight_gradient(GradientContext& g, ValueId d, ValueId state) {
  const auto by_direction = [&](ValueId x) {
    const Shape s = g.graph().shape(x);
    if (s[2] > 1)
      x = g.emit(Op::transpose, TransposeAttrs{{2, 0, 1, 3, 4, 5}}, {x}, "by_direction");
    return g.reshape(x, {s[2], s[0] * s[1], s[3]});
  };
  const ValueId left = by_direction(d), right = by_direction(state);
  return g.emit(Op::matmul, MatmulAttrs{.transpose_a = true}, {left, right}, "grad_weight");
}

// The gradient of both biases [D,2,A], of those of the input and those of the state.
ValueId bias_gradient(GradientContext& g, ValueId of_input, ValueId of_state) {
  const auto sum = [&](ValueId d) {
    const Shape s = g.graph().shape(d);
    return g.reshape(g.emit(Op::reduce, ReduceAttrs{.axes = 0b11}, {d}, "sum"), {s[2], 1, s[3]});
  };
  const ValueId input = sum(of_input);
  const ValueId state = of_state == of_input ? input : sum(of_state);
  return g.emit(Op::concat, AxisAttrs{1}, {input, state}, "grad_bias");
}

ValueId previous_state(GradientContext& g, bool reverse, ValueId h, ValueId lengths) {
  return g.emit(Op::previous_state, DirectionAttrs{reverse}, {g.y(), h, lengths}, "previous");
}

}  // namespace

// dxw and what goes back into h and c, step by step; dr = the sum of dxw times the state before,
// db = that of dxw
void gradient_lstm(GradientContext& g) {
  const auto attrs = g.node().as<LstmAttrs>();
  const ValueId h = g.x(3), c = g.x(4), lengths = g.x(5);
  const ValueId cells = g.saved(3), gates = g.saved(4);
  const ValueId dxw = g.emit(Op::lstm_grad, attrs,
                             {gates, g.x(1), cells, c, lengths, g.dy(), g.dy(1), g.dy(2)}, "grad");
  if (g.needs(3)) g.set(3, also(g, 1));
  if (g.needs(4)) g.set(4, also(g, 2));
  if (g.needs(1)) g.set(1, weight_gradient(g, dxw, previous_state(g, attrs.reverse, h, lengths)));
  if (g.needs(2)) g.set(2, bias_gradient(g, dxw, dxw));
  if (g.needs(0)) g.set(0, dxw);
}

// As lstm; of the rows of r that make n, the state is r * h, or the gradient dhw
void gradient_gru(GradientContext& g) {
  const auto attrs = g.node().as<GruAttrs>();
  const ValueId h = g.x(3), lengths = g.x(4);
  const ValueId gates = g.saved(2), hidden = g.saved(3);
  const ValueId previous = previous_state(g, attrs.reverse, h, lengths);
  const ValueId dxw = g.emit(Op::gru_grad, attrs,
                             {gates, g.x(1), hidden, previous, lengths, g.dy(), g.dy(1)}, "grad");
  const bool weights = g.needs(1) || g.needs(2);
  const ValueId dhw = attrs.reset_after && weights ? also(g, 1) : dxw;
  if (g.needs(3)) g.set(3, also(g, 2));
  if (g.needs(1) && attrs.reset_after) g.set(1, weight_gradient(g, dhw, previous));
  if (g.needs(1) && !attrs.reset_after) {
    const int32_t width = g.graph().shape(g.y())[3];
    Shape part = g.graph().shape(dxw);
    part[3] = 2 * width;
    const ValueId zr = g.emit(Op::slice, SliceAttrs{3, 0}, {dxw}, "grad_zr", &part);
    part[3] = width;
    const ValueId n = g.emit(Op::slice, SliceAttrs{3, 2 * width}, {dxw}, "grad_n", &part);
    const ValueId upper = weight_gradient(g, zr, previous);
    g.set(1, g.emit(Op::concat, AxisAttrs{1}, {upper, weight_gradient(g, n, hidden)}, "grad_r"));
  }
  if (g.needs(2)) g.set(2, bias_gradient(g, dxw, dhw));
  if (g.needs(0)) g.set(0, dxw);
}

// As lstm
void gradient_rnn(GradientContext& g) {
  const auto attrs = g.node().as<RnnAttrs>();
  const ValueId h = g.x(3), lengths = g.x(4);
  const ValueId dxw =
      g.emit(Op::rnn_grad, attrs, {g.y(), g.x(1), lengths, g.dy(), g.dy(1)}, "grad");
  if (g.needs(3)) g.set(3, also(g, 1));
  if (g.needs(1)) g.set(1, weight_gradient(g, dxw, previous_state(g, attrs.reverse, h, lengths)));
  if (g.needs(2)) g.set(2, bias_gradient(g, dxw, dxw));
  if (g.needs(0)) g.set(0, dxw);
}

}  // namespace attune
