#include <doctest/doctest.h>

#include <cmath>
#include <optional>
#include <set>

#include "tests/kernels/samples.h"

namespace attune::test {
namespace {

// The place in [outer, axis, inner] of element i of [outer, K, inner].
int64_t wide_index(int64_t i, const Shape& wide, int axis, const Value& indices) {
  if (indices.absent()) return i;
  const int64_t inner = wide.product(axis + 1, wide.rank), count = indices.size();
  const int64_t slice = static_cast<int64_t>(indices.at(i / inner % count));
  return (i / inner / count * wide[axis] + slice) * inner + i % inner;
}

// Of an update of rows, that of a whole tensor.
std::optional<Op> dense_of(Op op) {
  if (op == Op::take_sgd) return Op::sgd;
  if (op == Op::take_momentum) return Op::momentum;
  if (op == Op::take_adam) return Op::adam;
  return std::nullopt;
}

}  // namespace

TEST_CASE("updates of rows are those of the whole table at the rows that ids name") {
  int checked = 0;
  for (const Sample& s : samples()) {
    const std::optional<Op> dense = dense_of(s.call.op);
    if (!dense) continue;
    INFO(op_name(s.call.op), " ", shape_text(s.call.inputs[1].shape()));
    const Value &table = s.call.inputs[0], &ids = s.call.inputs[3];
    Call call = s.call;
    call.op = *dense;
    call.inputs[1] =
        run1(Op::take_grad, nullptr, {s.call.inputs[1], ids}, Value(DType::f64, table.shape()));
    call.inputs[3] = Value();
    const std::vector<Value> after = run(s.call), expected = run(call);
    const int64_t rows = table.shape()[0], width = table.shape()[1];
    std::set<int64_t> named;
    for (int64_t i = 0; i < ids.size(); ++i)
      named.insert(static_cast<int64_t>(ids.at(i)) + (ids.at(i) < 0 ? rows : 0));
    for (size_t o = 0; o < after.size(); ++o) {
      const Value& before =
          s.call.inputs[static_cast<size_t>(updated_input(s.call.op, static_cast<int>(o)))];
      for (int64_t i = 0; i < table.size(); ++i)
        CHECK(after[o].at(i) == (named.contains(i / width) ? expected[o] : before).at(i));
    }
    ++checked;
  }
  CHECK(checked == 30);
}

TEST_CASE("the gradient of a table adds up what each of its rows gave, in their order") {
  for (const Sample& s : samples()) {
    if (s.call.op != Op::take_grad) continue;
    const Value &dy = s.call.inputs[0], &ids = s.call.inputs[1];
    const Value& shape_of = s.call.outputs[0];
    const int64_t rows = shape_of.shape()[0], width = shape_of.shape()[1];
    Value expected(DType::f64, shape_of.shape());
    for (int64_t i = 0; i < expected.size(); ++i) expected.set(i, 0);
    for (int64_t i = 0; i < ids.size(); ++i) {
      const int64_t row = static_cast<int64_t>(ids.at(i)) + (ids.at(i) < 0 ? rows : 0);
      for (int64_t k = 0; k < width && row < rows; ++k)
        expected.set(row * width + k, expected.at(row * width + k) + dy.at(i * width + k));
    }
    CHECK(run(s.call)[0].same_bits(expected));
  }
}

TEST_CASE("updates follow their formulas, and change nothing but the chosen slices") {
  for (const Sample& s : samples()) {
    const std::vector<Value>& in = s.call.inputs;
    if (op_info(s.call.op).kind != OpKind::update || s.call.op == Op::running_statistics ||
        dense_of(s.call.op))
      continue;
    INFO(op_name(s.call.op));
    const std::vector<Value> after = run(s.call);
    std::vector<Value> expected;
    for (size_t i = 0; i < after.size(); ++i)
      expected.push_back(in[static_cast<size_t>(updated_input(s.call.op, static_cast<int>(i)))]);
    const double lr = in[2].at(0);
    int axis = 0;
    if (s.call.op == Op::sgd) axis = static_cast<const SgdAttrs*>(s.call.attrs)->axis;
    if (s.call.op == Op::momentum) axis = static_cast<const MomentumAttrs*>(s.call.attrs)->axis;
    if (s.call.op == Op::adam) axis = static_cast<const AdamAttrs*>(s.call.attrs)->axis;
    for (int64_t i = 0; i < in[1].size(); ++i) {
      const int64_t at = wide_index(i, in[0].shape(), axis, in[3]);
      double w = in[0].at(at), g = in[1].at(i);
      if (s.call.op == Op::sgd) {
        w -= lr * (g + static_cast<const SgdAttrs*>(s.call.attrs)->weight_decay * w);
      } else if (s.call.op == Op::momentum) {
        const auto& a = *static_cast<const MomentumAttrs*>(s.call.attrs);
        g += a.weight_decay * w;
        const double v = a.momentum * in[4].at(i) + g;
        w -= lr * (a.nesterov ? g + a.momentum * v : v);
        expected[1].set(i, v);
      } else {
        const auto& a = *static_cast<const AdamAttrs*>(s.call.attrs);
        const double step = in[6].at(0);
        if (a.decoupled)
          w *= 1 - lr * a.weight_decay;
        else
          g += a.weight_decay * w;
        const double m = a.beta1 * in[4].at(i) + (1 - a.beta1) * g;
        const double v = a.beta2 * in[5].at(i) + (1 - a.beta2) * g * g;
        const double bias1 = 1 - std::pow(a.beta1, step), bias2 = 1 - std::pow(a.beta2, step);
        w -= lr / bias1 * m / (std::sqrt(v) / std::sqrt(bias2) + a.epsilon);
        expected[1].set(i, m);
        expected[2].set(i, v);
      }
      expected[0].set(at, w);
    }
    // Elements that were not chosen are the same numbers in both.
    for (size_t i = 0; i < after.size(); ++i)
      CHECK(relative_difference(after[i], expected[i]) < 1e-14);
    if (!in[3].absent()) {
      int64_t changed = 0;
      for (int64_t i = 0; i < in[0].size(); ++i) changed += after[0].at(i) != in[0].at(i);
      CHECK(changed <= in[1].size());
      CHECK(changed > in[1].size() * 9 / 10);
    }
  }
}

// Three steps from zero state, against torch.optim of PyTorch 1.13 in double.
TEST_CASE("updates are PyTorch's") {
  const double gradients[3][3] = {{0.1, -0.2, 0.3}, {0.5, 0.25, -0.75}, {-0.3, 0.6, 0.0}};
  struct Row {
    const char* name;
    Op op;
    double w[3];
    bool flag;
  };
  const Row rows[] = {
      {"SGD", Op::sgd, {0.4685714895, -1.31126872875, 2.038990968}, false},
      {"momentum", Op::momentum, {0.4051853895, -1.29634447875, 2.050028568}, false},
      {"nesterov", Op::momentum, {0.38337586198049994, -1.35304169924625, 2.084047786512}, true},
      {"Adam", Op::adam, {0.2919267838796675, -1.234087292245888, 1.9787321857759639}, false},
      {"AdamW", Op::adam, {0.29217819244616755, -1.2376063469764969, 1.9794707224352814}, true},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    const SgdAttrs sgd{0.01, 0};
    const MomentumAttrs momentum{0.9, 0.01, row.flag, 0};
    const AdamAttrs adam{0.8, 0.95, 1e-3, 0.01, row.flag, 0};
    const void* attrs = &sgd;
    if (row.op == Op::momentum) attrs = &momentum;
    if (row.op == Op::adam) attrs = &adam;
    const int states = op_info(row.op).max_outputs - 1;
    std::vector<Value> kept(static_cast<size_t>(states) + 1, Value(DType::f64, {3}));
    kept[0] = Value::reals({3}, {0.5, -1.25, 2.0});
    for (int step = 1; step <= 3; ++step) {
      const double* g = gradients[step - 1];
      std::vector<Value> in = {kept[0], Value::reals({3}, {g[0], g[1], g[2]}),
                               Value::reals({1}, {0.1}), Value()};
      in.insert(in.end(), kept.begin() + 1, kept.end());
      if (row.op == Op::adam) in.push_back(Value::ints({1}, {step}));
      kept = run({row.op, attrs, in, kept});
    }
    CHECK(relative_difference(kept[0], Value::reals({3}, {row.w[0], row.w[1], row.w[2]})) < 1e-15);
  }
}

}  // namespace attune::test
