#include <algorithm>

#include "graph/import/onnx/layers/recurrent.h"

namespace attune {
namespace {

constexpr int64_t kMostSteps = 256;

// One direction of a layer, a step after the other. Values of a step are [N,H], of all its gates
// [N,G*H].
class Direction {
 public:
  Direction(const OnnxNode& n, const Recurrent& layer, int64_t direction)
      : n_(n), layer_(layer), d_(direction), width_(layer.hidden), rows_(layer.gates * width_) {
    const size_t each = layer.activations.size() / static_cast<size_t>(layer.directions);
    activations_ = &layer.activations[static_cast<size_t>(d_) * each];
    x_ = n_.slice(layer.xw, 2, d_, 1, "direction");
    r_ = n_.reshape(n_.slice(layer.r, 0, d_, 1, "direction"), {rows_, width_}, "matrix");
    if (layer.b != kNone) {
      const ValueId both = n_.slice(layer.b, 0, d_, 1, "direction");
      input_bias_ = n_.reshape(n_.slice(both, 1, 0, 1, "input_bias"), {rows_}, "vector");
      state_bias_ = n_.reshape(n_.slice(both, 1, 1, 1, "state_bias"), {rows_}, "vector");
    }
    if (layer.peepholes != kNone)
      peepholes_ =
          n_.reshape(n_.slice(layer.peepholes, 0, d_, 1, "direction"), {3 * width_}, "vector");
    h_ = initial(layer.h);
    if (layer.op == Op::lstm) c_ = initial(layer.c);
  }

  // y [N,T,1,H], and the states [N,1,H].
  RecurrentOutputs run() {
    const int64_t steps = layer_.steps;
    std::vector<ValueId> y(static_cast<size_t>(steps));
    for (int64_t s = 0; s < steps; ++s) {
      const int64_t t = layer_.reverse || d_ == 1 ? steps - 1 - s : s;
      y[static_cast<size_t>(t)] = n_.reshape(step(t), {layer_.examples, 1, 1, width_}, "one_step");
    }
    RecurrentOutputs made;
    made.y = y.size() == 1 ? y[0] : n_.emit(Op::concat, AxisAttrs{1}, y, "steps");
    made.h = n_.reshape(h_, {layer_.examples, 1, width_}, "last");
    if (c_ != kNone) made.c = n_.reshape(c_, {layer_.examples, 1, width_}, "last");
    return made;
  }

 private:
  ValueId initial(ValueId state) const {
    const Dims dims = {layer_.examples, width_};
    if (state == kNone)
      return n_.constant(dims, std::vector<double>(static_cast<size_t>(count_elements(dims))),
                         "zeros");
    return n_.reshape(n_.slice(state, 1, d_, 1, "direction"), dims, "initial");
  }

  ValueId emit(Op op, ValueId a, ValueId b) const { return n_.emit(op, NoAttrs{}, {a, b}, "step"); }
  ValueId scaled(ValueId x, double factor, double offset) const {
    return n_.emit(Op::scale, ScaleAttrs{factor, offset}, {x}, "step");
  }
  ValueId clamped(ValueId x, ClampAttrs attrs) const {
    return n_.emit(Op::clamp, attrs, {x}, "step");
  }
  ValueId with(ValueId x, ValueId term) const { return term == kNone ? x : emit(Op::add, x, term); }

  // Part `gate` of [..,G*H]; kNone of kNone.
  ValueId part(ValueId x, int64_t gate, int64_t count = 1) const {
    if (x == kNone) return kNone;
    return n_.slice(x, n_.shape(x).rank - 1, gate * width_, count * width_, "gate");
  }
  ValueId product(ValueId h, int64_t gate, int64_t count) const {
    const ValueId w = n_.slice(r_, 0, gate * width_, count * width_, "gates");
    return n_.emit(Op::linear, LinearAttrs{}, {h, w}, "product");
  }

  ValueId activate(int which, ValueId x) const {
    const auto& [name, alpha, beta] = activations_[which];
    if (layer_.clip != 0) x = clamped(x, {-layer_.clip, layer_.clip});
    return apply(name, alpha, beta, x);
  }

  ValueId apply(const std::string& name, double alpha, double beta, ValueId x) const {
    const auto unary = [&](Op op, ValueId v) { return n_.emit(op, NoAttrs{}, {v}, "step"); };
    if (name == "relu") return clamped(x, {.min = 0});
    if (name == "tanh") return unary(Op::tanh, x);
    if (name == "sigmoid") return unary(Op::sigmoid, x);
    if (name == "softplus") return unary(Op::softplus, x);
    if (name == "affine") return scaled(x, alpha, beta);
    if (name == "scaledtanh") return scaled(unary(Op::tanh, scaled(x, beta, 0)), alpha, 0);
    if (name == "hardsigmoid")
      return n_.emit(Op::hard_sigmoid, HardSigmoidAttrs{alpha, beta}, {x}, "step");
    if (name == "thresholdedrelu") {  // x times 1 from the threshold on
      const ValueId beyond = scaled(x, 1, -alpha);
      return emit(Op::mul, x, clamped(scaled(beyond, 1e30, 0), {0, 1}));
    }
    const ValueId positive = clamped(x, {.min = 0}), negative = clamped(x, {.max = 0});
    if (name == "leakyrelu") return emit(Op::add, positive, scaled(negative, alpha, 0));
    if (name == "softsign")
      return emit(Op::div, x, scaled(emit(Op::sub, positive, negative), 1, 1));
    // elu: exp(x) = sigmoid(x) / sigmoid(-x)
    const ValueId up = unary(Op::sigmoid, negative);
    const ValueId down = unary(Op::sigmoid, scaled(negative, -1, 0));
    return emit(Op::add, positive, scaled(emit(Op::div, up, down), alpha, -alpha));
  }

  // What a step makes of the states, which it replaces. Returns what it puts out.
  ValueId step(int64_t t) {
    const auto runs = [&](int64_t length) { return t < length; };
    const auto& lengths = layer_.known_lengths;
    const auto running = std::count_if(lengths.begin(), lengths.end(), runs);
    if (!lengths.empty() && running == 0) return initial(kNone);
    ValueId x = n_.slice(x_, 1, t, 1, "step_input");
    x = n_.reshape(x, {layer_.examples, rows_}, "step_input");
    ValueId h = kNone, c = kNone;
    if (layer_.op == Op::lstm)
      std::tie(h, c) = lstm(x);
    else
      h = layer_.op == Op::gru ? gru(x) : activate(0, sum(x, product(h_, 0, 1)));
    if (lengths.empty() || running == layer_.examples) {
      c_ = c;
      return h_ = h;
    }
    std::vector<double> mask;
    for (const int64_t length : lengths) mask.push_back(runs(length));
    const ValueId m = n_.constant({layer_.examples, 1}, std::move(mask), "running");
    const auto kept = [&](ValueId next, ValueId last) {
      return emit(Op::add, last, emit(Op::mul, emit(Op::sub, next, last), m));
    };
    h_ = kept(h, h_);
    if (c != kNone) c_ = kept(c, c_);
    return emit(Op::mul, h, m);
  }

  ValueId sum(ValueId x, ValueId state) const {
    return emit(Op::add, with(x, input_bias_), with(state, state_bias_));
  }

  // Gates i, o, f, g; i and f look at the cell before, o at the one after.
  std::pair<ValueId, ValueId> lstm(ValueId x) const {
    const ValueId all = sum(x, product(h_, 0, 4));
    const auto gate = [&](int64_t k, ValueId cell) {
      const ValueId p = part(all, k), hole = part(peepholes_, k);
      return activate(0, hole == kNone ? p : emit(Op::add, p, emit(Op::mul, hole, cell)));
    };
    const ValueId i = gate(0, c_);
    const ValueId f = layer_.input_forget ? scaled(i, -1, 1) : gate(2, c_);
    const ValueId g = activate(1, part(all, 3));
    const ValueId c = emit(Op::add, emit(Op::mul, f, c_), emit(Op::mul, i, g));
    const auto& [name, alpha, beta] = activations_[2];
    return {emit(Op::mul, gate(1, c), apply(name, alpha, beta, c)), c};
  }

  // Gates z, r, n: h' = (1 - z) * n + z * h
  ValueId gru(ValueId x) const {
    const ValueId in = with(x, input_bias_);
    const ValueId zr =
        emit(Op::add, part(in, 0, 2), with(product(h_, 0, 2), part(state_bias_, 0, 2)));
    const ValueId z = activate(0, part(zr, 0)), r = activate(0, part(zr, 1));
    const ValueId bias = part(state_bias_, 2);
    const ValueId state = layer_.reset_after ? emit(Op::mul, r, with(product(h_, 2, 1), bias))
                                             : with(product(emit(Op::mul, r, h_), 2, 1), bias);
    const ValueId n = activate(1, emit(Op::add, part(in, 2), state));
    return emit(Op::add, n, emit(Op::mul, z, emit(Op::sub, h_, n)));
  }

  const OnnxNode& n_;
  const Recurrent& layer_;
  const int64_t d_, width_, rows_;
  const Activation* activations_;
  ValueId x_ = kNone, r_ = kNone, input_bias_ = kNone, state_bias_ = kNone, peepholes_ = kNone;
  ValueId h_ = kNone, c_ = kNone;
};

}  // namespace

RecurrentOutputs unroll(const OnnxNode& n, const Recurrent& layer) {
  if (layer.steps > kMostSteps)
    n.fail(
        "its clip, peepholes, input_forget or activations make every step operators of its own, "
        "and {} steps are more than {}; give shorter sequences",
        layer.steps, kMostSteps);
  if (layer.lengths != kNone && layer.known_lengths.empty())
    n.fail(
        "sequence lengths that are an input, with clip, peepholes, input_forget or activations "
        "of its own; only constant lengths are supported there");
  std::vector<RecurrentOutputs> parts;
  for (int64_t d = 0; d < layer.directions; ++d) parts.push_back(Direction(n, layer, d).run());
  if (parts.size() == 1) return parts[0];
  const auto join = [&](ValueId RecurrentOutputs::*output, int axis) {
    if (parts[0].*output == kNone) return kNone;
    return n.emit(Op::concat, AxisAttrs{axis}, {parts[0].*output, parts[1].*output}, "directions");
  };
  return {join(&RecurrentOutputs::y, 2), join(&RecurrentOutputs::h, 1),
          join(&RecurrentOutputs::c, 1)};
}

}  // namespace attune
