// Recurrent layers against their definitions, an example and a unit at a time.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/kernels/samples.h"

namespace attune::test {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// What an example in one direction makes: outputs by step, and the states at the end.
struct Run {
  std::vector<std::vector<double>> y, cells, gates, hidden;
  std::vector<double> h, c;
};

class Definition {
 public:
  Definition(const Call& call, int gates, int state, int lengths)
      : call_(call), gates_(gates), state_(state), lengths_(lengths) {}

  int steps() const { return call_.inputs[0].shape()[1]; }
  int width() const { return call_.inputs[1].shape()[2]; }

  template <class Step>
  Run run(int n, int d, bool reverse, const Step& step) const {
    Run made;
    const std::vector<double> zeros(static_cast<size_t>(width()));
    made.y.assign(static_cast<size_t>(steps()), zeros);
    made.cells = made.hidden = made.y;
    made.gates.assign(static_cast<size_t>(steps()),
                      std::vector<double>(static_cast<size_t>(gates_ * width())));
    made.h = initial(state_, n, d), made.c = initial(state_ + 1, n, d);
    if (call_.op != Op::lstm) made.c = zeros;
    const int length = call_.inputs[static_cast<size_t>(lengths_)].absent()
                           ? steps()
                           : static_cast<int>(call_.inputs[static_cast<size_t>(lengths_)].at(n));
    for (int s = 0; s < steps(); ++s) {
      const int t = reverse || d == 1 ? steps() - 1 - s : s;
      if (t >= length) continue;
      step(made, n, t, d);
      made.y[static_cast<size_t>(t)] = made.h;
    }
    return made;
  }

  double x(int n, int t, int d, int row) const {
    const int directions = call_.inputs[0].shape()[2], rows = gates_ * width();
    return call_.inputs[0].at(((n * steps() + t) * directions + d) * rows + row);
  }
  double bias(int d, bool of_state, int row) const {
    const Value& b = call_.inputs[2];
    return b.absent() ? 0 : b.at((d * 2 + of_state) * gates_ * width() + row);
  }
  double product(int d, int row, const std::vector<double>& h) const {
    double sum = 0;
    for (int k = 0; k < width(); ++k)
      sum += call_.inputs[1].at((d * gates_ * width() + row) * width() + k) *
             h[static_cast<size_t>(k)];
    return sum;
  }

 private:
  std::vector<double> initial(int input, int n, int d) const {
    std::vector<double> state(static_cast<size_t>(width()));
    const Value& from = call_.inputs[static_cast<size_t>(input)];
    const int directions = call_.inputs[0].shape()[2];
    for (int j = 0; !from.absent() && input != lengths_ && j < width(); ++j)
      state[static_cast<size_t>(j)] = from.at((n * directions + d) * width() + j);
    return state;
  }

  const Call& call_;
  const int gates_, state_, lengths_;
};

// Holds all outputs of a sample against a definition; `by_step` and `at_end` say which are which.
template <class Step>
void check_layer(const Sample& s, const Definition& of, bool reverse, const Step& step,
                 const std::vector<std::vector<std::vector<double>> Run::*>& by_step,
                 const std::vector<std::vector<double> Run::*>& at_end) {
  INFO(op_name(s.call.op), " ", s.name);
  const std::vector<Value> outputs = run(s.call);
  std::vector<Value> wanted = outputs;
  const Shape& y = outputs[0].shape();
  for (int n = 0; n < y[0]; ++n)
    for (int d = 0; d < y[2]; ++d) {
      const Run made = of.run(n, d, reverse, step);
      for (size_t o = 0; o < outputs.size(); ++o) {
        const int width = outputs[o].shape().last();
        if (by_step[o] != nullptr)
          for (int t = 0; t < y[1]; ++t)
            for (int j = 0; j < width; ++j)
              wanted[o].set(((n * y[1] + t) * y[2] + d) * width + j,
                            (made.*by_step[o])[static_cast<size_t>(t)][static_cast<size_t>(j)]);
        else
          for (int j = 0; j < width; ++j)
            wanted[o].set((n * y[2] + d) * width + j, (made.*at_end[o])[static_cast<size_t>(j)]);
      }
    }
  for (size_t o = 0; o < outputs.size(); ++o) {
    INFO("output ", o);
    CHECK(relative_difference(outputs[o], wanted[o]) < 1e-13);
  }
}

}  // namespace

TEST_CASE("lstm is its definition") {
  int checked = 0;
  for (const Sample& s : samples()) {
    if (s.call.op != Op::lstm) continue;
    ++checked;
    const Definition of(s.call, 4, 3, 5);
    const int width = of.width();
    const auto step = [&](Run& run, int n, int t, int d) {
      const std::vector<double> h = run.h;
      auto& gates = run.gates[static_cast<size_t>(t)];
      for (int row = 0; row < 4 * width; ++row) {
        const double p = of.x(n, t, d, row) + of.bias(d, false, row) + of.bias(d, true, row) +
                         of.product(d, row, h);
        gates[static_cast<size_t>(row)] = row < 3 * width ? sigmoid(p) : std::tanh(p);
      }
      for (size_t j = 0, w = static_cast<size_t>(width); j < w; ++j) {
        run.c[j] = gates[2 * w + j] * run.c[j] + gates[j] * gates[3 * w + j];
        run.h[j] = gates[w + j] * std::tanh(run.c[j]);
      }
      run.cells[static_cast<size_t>(t)] = run.c;
    };
    check_layer(s, of, static_cast<const LstmAttrs*>(s.call.attrs)->reverse, step,
                {&Run::y, nullptr, nullptr, &Run::cells, &Run::gates},
                {nullptr, &Run::h, &Run::c, nullptr, nullptr});
  }
  CHECK(checked > 3);
}

TEST_CASE("gru is its definition, with the reset gate before and after the product") {
  int checked = 0;
  for (const Sample& s : samples()) {
    if (s.call.op != Op::gru) continue;
    ++checked;
    const auto& attrs = *static_cast<const GruAttrs*>(s.call.attrs);
    const Definition of(s.call, 3, 3, 4);
    const int width = of.width();
    const auto step = [&](Run& run, int n, int t, int d) {
      const std::vector<double> h = run.h;
      auto& gates = run.gates[static_cast<size_t>(t)];
      auto& hidden = run.hidden[static_cast<size_t>(t)];
      const auto w = static_cast<size_t>(width);
      for (int row = 0; row < 2 * width; ++row)
        gates[static_cast<size_t>(row)] = sigmoid(of.x(n, t, d, row) + of.bias(d, false, row) +
                                                  of.bias(d, true, row) + of.product(d, row, h));
      std::vector<double> scaled = h;
      for (size_t j = 0; j < w; ++j) scaled[j] *= gates[w + j];
      for (size_t j = 0; j < w; ++j) {
        const int row = 2 * width + static_cast<int>(j);
        const double in = of.x(n, t, d, row) + of.bias(d, false, row);
        if (attrs.reset_after) {
          hidden[j] = of.product(d, row, h) + of.bias(d, true, row);
          gates[2 * w + j] = std::tanh(in + gates[w + j] * hidden[j]);
        } else {
          hidden[j] = scaled[j];
          gates[2 * w + j] = std::tanh(in + of.product(d, row, scaled) + of.bias(d, true, row));
        }
        run.h[j] = (1 - gates[j]) * gates[2 * w + j] + gates[j] * h[j];
      }
    };
    check_layer(s, of, attrs.reverse, step, {&Run::y, nullptr, &Run::gates, &Run::hidden},
                {nullptr, &Run::h, nullptr, nullptr});
  }
  CHECK(checked > 7);
}

TEST_CASE("rnn is its definition") {
  int checked = 0;
  for (const Sample& s : samples()) {
    if (s.call.op != Op::rnn) continue;
    ++checked;
    const auto& attrs = *static_cast<const RnnAttrs*>(s.call.attrs);
    const Definition of(s.call, 1, 3, 4);
    const auto step = [&](Run& run, int n, int t, int d) {
      const std::vector<double> h = run.h;
      for (int j = 0; j < of.width(); ++j) {
        const double p =
            of.x(n, t, d, j) + of.bias(d, false, j) + of.bias(d, true, j) + of.product(d, j, h);
        run.h[static_cast<size_t>(j)] = attrs.relu ? std::max(p, 0.0) : std::tanh(p);
      }
    };
    check_layer(s, of, attrs.reverse, step, {&Run::y, nullptr}, {nullptr, &Run::h});
  }
  CHECK(checked > 7);
}

TEST_CASE("previous_state is the state that each step started from") {
  // Two steps of three examples, of which the first ends after one step; forwards and backwards.
  const Value y = Value::reals({3, 2, 2, 1}, {1, 2, 0, 0, 3, 4, 5, 6, 7, 8, 9, 10});
  const Value h = Value::reals({3, 2, 1}, {-1, -2, -3, -4, -5, -6});
  const Value lengths = Value::ints({3}, {1, 2, 7});
  const DirectionAttrs attrs;
  const auto made = [&](const Value& state, const Value& length) {
    const Value out =
        run1(Op::previous_state, &attrs, {y, state, length}, Value(DType::f64, {3, 2, 2, 1}));
    std::vector<double> all;
    for (int64_t i = 0; i < out.size(); ++i) all.push_back(out.at(i));
    return all;
  };
  CHECK(made(h, lengths) == std::vector<double>{-1, -2, 0, 0, -3, 6, 3, -4, -5, 10, 7, -6});
  CHECK(made({}, {}) == std::vector<double>{0, 0, 1, 0, 0, 6, 3, 0, 0, 10, 7, 0});
}

TEST_CASE("lengths are data: any is taken, and what is beyond them is zero and has no gradient") {
  const RnnAttrs attrs;
  const Value x = Value::random({2, 3, 1, 4}, 1), r = Value::random({1, 4, 4}, 2);
  const Value lengths = Value::ints({2}, {-5, 1 << 30});
  const std::vector<Value> out =
      run({Op::rnn,
           &attrs,
           {x, r, {}, {}, lengths},
           {Value(DType::f64, {2, 3, 1, 4}), Value(DType::f64, {2, 1, 4})}});
  const Value dx = run1(Op::rnn_grad, &attrs, {out[0], r, lengths, Value::random({2, 3, 1, 4}, 3)},
                        Value(DType::f64, {2, 3, 1, 4}));
  for (int64_t i = 0; i < 12; ++i) {
    CHECK(out[0].at(i) == 0);
    CHECK(dx.at(i) == 0);
    CHECK(out[0].at(12 + i) != 0);
    CHECK(dx.at(12 + i) != 0);
  }
}

}  // namespace attune::test
