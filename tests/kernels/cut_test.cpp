// What signatures say of cuts, held against the reference kernels: every operator runs whole and in
// pieces, along every axis that may be cut. A mark that is missing in a signature shows here.
#include "graph/rules/cut.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "graph/rules/window.h"
#include "tests/kernels/samples.h"

namespace attune::test {
namespace {

using Places = std::vector<int>;

Places range(int begin, int end) {
  Places places(static_cast<size_t>(end - begin));
  std::iota(places.begin(), places.end(), begin);
  return places;
}

// For every element of a value of this shape with `axis` restricted to `places`, the same element
// of the whole.
template <class F>
void for_restricted(const Shape& whole, int axis, const Places& places, F f) {
  Shape part = whole;
  part[axis] = static_cast<int32_t>(places.size());
  const int64_t inner = whole.product(axis + 1, whole.rank);
  for (int64_t i = 0; i < part.elements(); ++i) {
    const int64_t outer = i / inner / part[axis], place = i / inner % part[axis];
    f(i, (outer * whole[axis] + places[static_cast<size_t>(place)]) * inner + i % inner);
  }
}

Value restricted(const Value& whole, int axis, const Places& places) {
  if (axis < 0 || whole.absent()) return whole;
  Shape shape = whole.shape();
  shape[axis] = static_cast<int32_t>(places.size());
  Value part(whole.dtype(), shape);
  for_restricted(whole.shape(), axis, places,
                 [&](int64_t to, int64_t from) { part.set(to, whole.at(from)); });
  return part;
}

Operation operation(const Call& call) {
  Operation of{call.op, call.attrs, {}, {}};
  for (const Value& v : call.inputs) of.inputs.push_back(v.absent() ? nullptr : &v.shape());
  for (const Value& v : call.outputs) of.outputs.push_back(v.absent() ? nullptr : &v.shape());
  return of;
}

AnyAttrs attrs_of(const Call& call) {
  AnyAttrs attrs;
  if (call.attrs != nullptr)
    with_attrs_type(call.op, [&](auto type) {
      attrs = *static_cast<const decltype(type)*>(call.attrs);
      return 0;
    });
  return attrs;
}

// The size of the kernel along an image's axis.
int kernel_size(const Call& call, int along) {
  const Signature& row = signature(call.op);
  const auto [k, axis] = row.place(along == 1 ? "KH" : "KW");
  if (k < 0) return 1;
  return (k < row.inputs ? call.inputs[static_cast<size_t>(k)]
                         : call.outputs[static_cast<size_t>(k - row.inputs)])
      .shape()[axis];
}

// Runs a call in pieces, each `places` of the cut axis, and compares with the whole.
void compare(const Call& call, const std::vector<Value>& whole, const Cut& cut,
             const std::vector<Places>& pieces, const RowWindows& windows) {
  const size_t inputs = call.inputs.size();
  std::vector<Value> running = call.inputs;  // what chained outputs go on from
  std::vector<std::vector<double>> sums(whole.size());
  for (size_t p = 0; p < pieces.size(); ++p) {
    Call piece{call.op, call.attrs, {}, {}};
    AnyAttrs attrs = attrs_of(call);
    for (size_t i = 0; i < inputs; ++i) {
      Places places = pieces[p];
      const int axis = cut.axis[i];
      if (cut.window && axis == windows.axis &&
          signature(call.op).input(static_cast<int>(i)).axes[axis].window == 0) {
        const int height = call.inputs[i].shape()[axis];
        const Rows rows{places.front(), places.back() + 1};
        const Rows read = windows.reads(rows, height);
        windows.cut_attrs(attrs, rows, height);
        places = range(read.begin, read.end);
      }
      const bool dropped = p > 0 && (cut.terms >> i & 1);
      piece.inputs.push_back(dropped ? Value() : restricted(running[i], axis, places));
    }
    if (cut.window) std::visit([&](const auto& a) { piece.attrs = &a; }, attrs);
    for (size_t o = 0; o < whole.size(); ++o)
      piece.outputs.push_back(restricted(call.outputs[o], cut.axis[inputs + o], pieces[p]));
    const std::vector<Value> made = run(piece);
    for (size_t o = 0; o < whole.size(); ++o) {
      if (whole[o].absent()) continue;
      const int axis = cut.axis[inputs + o];
      bool same = true;
      if (axis >= 0) {
        for_restricted(whole[o].shape(), axis, pieces[p], [&](int64_t part, int64_t all) {
          const double a = made[o].at(part), b = whole[o].at(all);
          same &= a == b || (a != a && b != b);
        });
      } else if (cut.chained >> o & 1) {
        running[static_cast<size_t>(updated_input(call.op, static_cast<int>(o)))] = made[o];
      } else {
        CHECK((cut.summed >> o & 1) != 0);
        sums[o].resize(static_cast<size_t>(whole[o].size()));
        for (int64_t i = 0; i < whole[o].size(); ++i)
          sums[o][static_cast<size_t>(i)] += made[o].at(i);
      }
      CHECK_MESSAGE(same, "output ", o, " of piece ", p, " differs");
    }
  }
  for (size_t o = 0; o < whole.size(); ++o) {
    if (whole[o].absent()) continue;
    if (cut.chained >> o & 1)
      CHECK(running[static_cast<size_t>(updated_input(call.op, static_cast<int>(o)))].same_bits(
          whole[o]));
    if (sums[o].empty()) continue;
    Value sum(whole[o].dtype(), whole[o].shape());
    for (int64_t i = 0; i < sum.size(); ++i) sum.set(i, sums[o][static_cast<size_t>(i)]);
    CHECK(relative_difference(sum, whole[o]) < 1e-12);
  }
}

std::vector<Sample> with_and_without_optional_outputs() {
  std::vector<Sample> all = samples();
  for (const Sample& s : samples())
    if (s.call.outputs.size() > 1 && signature(s.call.op).output(1).optional) {
      all.push_back(s);
      all.back().call.outputs.resize(1);
    }
  return all;
}

}  // namespace

TEST_CASE("every operator in pieces gives what it gives whole") {
  std::set<Op> cut_somewhere, windowed, summed, chained;
  int cuts = 0;
  for (const Sample& s : with_and_without_optional_outputs()) {
    int64_t most = 0;
    for (const Value& v : s.call.outputs) most = std::max(most, v.size());
    if (most > 120000) continue;
    INFO(std::string(op_name(s.call.op)), " ", s.name);
    const Operation of = operation(s.call);
    const std::vector<Value> whole = run(s.call);
    const size_t inputs = s.call.inputs.size();
    for (size_t k = 0; k < inputs + s.call.outputs.size(); ++k) {
      const Value& start = k < inputs ? s.call.inputs[k] : s.call.outputs[k - inputs];
      if (start.absent()) continue;
      for (int axis = 0; axis < start.shape().rank; ++axis) {
        INFO("operand ", k, ", axis ", axis);
        const Cut cut = attune::cut(of, static_cast<int>(k), axis);
        if (!cut.possible) continue;
        REQUIRE(cut.axis.size() == inputs + s.call.outputs.size());
        CHECK(cut.axis[k] == axis);
        const int size = start.shape()[axis], middle = (size + 1) / 2;
        std::vector<Places> pieces = {range(0, middle), range(middle, size)};
        RowWindows windows;
        if (cut.window) {
          const auto rows = row_windows(attrs_of(s.call), kernel_size(s.call, axis), axis);
          if (!rows) continue;
          windows = *rows;
          windowed.insert(s.call.op);
        } else {
          // Any places in any order.
          Places even, odd;
          for (int i = size - 1; i >= 0; --i) (i % 2 ? odd : even).push_back(i);
          pieces = {odd, even};
        }
        if (cut.summed != 0) summed.insert(s.call.op);
        if (cut.chained != 0) chained.insert(s.call.op);
        compare(s.call, whole, cut, pieces, windows);
        cut_somewhere.insert(s.call.op);
        ++cuts;
      }
    }
  }
  CHECK(cuts > 1000);
  // Nearly all operators can be cut somewhere: samples that are all refused would show nothing.
  const std::set<Op> never = {Op::softmax_cross_entropy,
                              Op::softmax_cross_entropy_grad,
                              Op::soft_cross_entropy,
                              Op::soft_cross_entropy_grad,
                              Op::mean_squared_error,
                              Op::mean_squared_error_grad,
                              Op::mean_absolute_error,
                              Op::mean_absolute_error_grad,
                              Op::huber,
                              Op::huber_grad,
                              Op::random};
  for (const OpInfo& info : kOps) {
    INFO(std::string(info.name));
    CHECK((cut_somewhere.contains(info.op) || never.contains(info.op)));
  }
  for (Op op : {Op::conv2d, Op::depthwise_conv2d, Op::conv2d_grad_weight, Op::max_pool2d,
                Op::avg_pool2d, Op::depthwise_conv2d_grad_weight}) {
    INFO(std::string(op_name(op)));
    CHECK(windowed.contains(op));
  }
  for (Op op : {Op::conv2d, Op::linear, Op::matmul, Op::reduce, Op::count_correct, Op::mask_grad}) {
    INFO(std::string(op_name(op)));
    CHECK(summed.contains(op));
  }
  for (Op op : {Op::sgd, Op::momentum, Op::adam}) CHECK(chained.contains(op));
}

TEST_CASE("what mixes elements, or depends on their places, is refused") {
  const Shape x{4, 6, 8, 6}, pooled{4, 3, 4, 6}, w{10, 3, 3, 6}, y{4, 6, 8, 10};
  const Shape logits{5, 7}, labels{5}, one{1}, narrow{4, 2, 8, 6}, left{4, 4, 8, 6}, indices{2};
  Conv2dAttrs conv;
  conv.pad_top = conv.pad_bottom = conv.pad_left = conv.pad_right = 1;
  Conv2dAttrs grouped = conv, clamped = conv;
  grouped.groups = 2, clamped.clamp_min = 0;
  const Shape grouped_w{10, 3, 3, 3};
  Pool2dAttrs pool;
  pool.kernel_h = pool.kernel_w = pool.stride_h = pool.stride_w = 2;
  const ReduceAttrs mean{1 << 3, true};
  const Shape kept{4, 6, 8, 1};
  const AxisAttrs along{1};
  const BroadcastAttrs shared{true};
  const RnnAttrs recurrent;
  const Shape states{4, 3, 2, 5}, square{2, 5, 5};
  const CumsumAttrs running{1};
  const Shape table{4, 6, 3}, ids{4, 2}, taken{4, 2, 3}, best{5, 2};
  const struct {
    const char* why;
    Operation of;
    int operand, axis;
  } rows[] = {
      {"softmax over its classes", {Op::softmax, nullptr, {&logits}, {&logits}}, 1, 1},
      {"a loss over examples: a mean",
       {Op::softmax_cross_entropy, nullptr, {&logits, &labels, &labels}, {&one}},
       0,
       0},
      {"an argmax by rows: it tells places",
       {Op::max_pool2d, &pool, {&x}, {&pooled, &pooled}},
       1,
       1},
      {"channels of groups", {Op::conv2d, &grouped, {&x, &grouped_w}, {&y}}, 2, 3},
      {"input channels of groups", {Op::conv2d, &grouped, {&x, &grouped_w}, {&y}}, 1, 3},
      {"a sum that is clamped", {Op::conv2d, &clamped, {&x, &w}, {&y}}, 0, 3},
      {"rows of the kernel", {Op::conv2d, &conv, {&x, &w}, {&y}}, 1, 1},
      {"rows of the image, for its windows", {Op::conv2d, &conv, {&x, &w}, {&y}}, 0, 1},
      {"terms of a mean", {Op::reduce, &mean, {&x}, {&kept}}, 0, 3},
      {"repeats that share a mean", {Op::broadcast_to, &shared, {&kept}, {&x}}, 1, 3},
      {"what is chosen from", {Op::gather, &along, {&x, &indices}, {&narrow}}, 0, 1},
      {"steps", {Op::rnn, &recurrent, {&states, &square}, {&states}}, 0, 1},
      {"units of a state", {Op::rnn, &recurrent, {&states, &square}, {&states}}, 0, 3},
      {"a state's own product", {Op::rnn, &recurrent, {&states, &square}, {&states}}, 1, 2},
      {"directions", {Op::rnn, &recurrent, {&states, &square}, {&states}}, 1, 0},
      {"what goes in between", {Op::interleave, &along, {&narrow, &left, &indices}, {&x}}, 0, 1},
      {"what lies around it", {Op::interleave, &along, {&narrow, &left, &indices}, {&x}}, 3, 1},
      {"what is selected from", {Op::select, &along, {&x, &indices}, {&narrow}}, 0, 1},
      {"what is added to", {Op::scatter_add, &along, {&narrow, &indices}, {&x}}, 2, 1},
      {"rows by their numbers", {Op::take_along, nullptr, {&table, &ids}, {&taken}}, 0, 1},
      {"terms in their order", {Op::add_along, nullptr, {&taken, &ids}, {&table}}, 1, 1},
      {"a running sum", {Op::cumsum, &running, {&x}, {&x}}, 0, 1},
      {"the largest of all", {Op::top_k, nullptr, {&logits}, {&best}}, 0, 1},
      {"an axis of size 1", {Op::scale, nullptr, {&kept}, {&kept}}, 0, 3},
      {"an axis that is not there", {Op::scale, nullptr, {&kept}, {&kept}}, 0, 4},
  };
  for (const auto& row : rows) {
    INFO(std::string(row.why));
    CHECK_FALSE(cut(row.of, row.operand, row.axis).possible);
  }
  CHECK(cut({Op::max_pool2d, &pool, {&x}, {&pooled}}, 1, 1).window);
  CHECK(cut({Op::conv2d, &conv, {&x, &w}, {&y}}, 0, 3).summed == 1);
  CHECK(cut({Op::rnn, &recurrent, {&states, &square}, {&states}}, 0, 0).possible);
}

TEST_CASE("weights have the channels of their layer where the signature says so") {
  const auto axes = [](Op op, int operand) {
    const WeightAxes found = weight_axes(op, operand);
    return std::pair(found.input, found.output);
  };
  CHECK(axes(Op::conv2d, 1) == std::pair(3, 0));
  CHECK(axes(Op::depthwise_conv2d, 1) == std::pair(2, 2));
  CHECK(axes(Op::linear, 1) == std::pair(1, 0));
  CHECK(axes(Op::conv2d_transpose, 1) == std::pair(0, 3));
  CHECK(axes(Op::lstm, 1) == std::pair(2, 1));
  CHECK(axes(Op::rnn, 1) == std::pair(2, 1));
  const std::set<Op> layers = {
      Op::conv2d, Op::depthwise_conv2d, Op::linear, Op::conv2d_transpose, Op::lstm, Op::gru,
      Op::rnn};
  for (const OpInfo& info : kOps)
    for (int i = 0; i < 8; ++i) {
      const bool layer = i == 1 && layers.contains(info.op);
      INFO(std::string(info.name), " ", i);
      CHECK(static_cast<bool>(weight_axes(info.op, i)) == layer);
    }
  CHECK(bias_input(Op::conv2d) == 2);
  CHECK(bias_input(Op::batch_norm) == -1);
}

TEST_CASE("signatures that break the grammar are refused, at the place") {
  CHECK(signature_error("x[..] -> y[..]") == 0);
  CHECK(signature_error("x[N,H'!,G*C]:u8 +b[1]? -> y[..,A,..]*") == 0);
  for (const char* text :
       {"", "x[..]", "x[..] ->", "-> y[..]", "x[..] -> y[n]", "x[..] -> y[..", "x[] -> y[..]",
        "x[..]: -> y[..]", "X[..] -> y[..]", "x[..]! -> y[..]", "x[N*] -> y[N]", "x[..] => y[..]",
        "x[A,B,C,D,E,F,G] -> y[1]", "x[A,B,C,D] y[E,F,G,H] z[I,J,K,L] -> u[M]", "x[ABC] -> y[1]"}) {
    INFO(std::string(text));
    CHECK(signature_error(text) > 0);
  }
  CHECK(signature_error("x[..] -> y[n]") == 12);
}

TEST_CASE("arity, absent inputs and updated inputs follow from the signature") {
  const struct {
    Op op;
    int required, inputs, outputs;
  } rows[] = {{Op::conv2d, 2, 3, 2}, {Op::concat, 1, kAnyNumber, 1},
              {Op::sgd, 3, 4, 1},    {Op::momentum, 5, 5, 2},
              {Op::adam, 7, 7, 3},   {Op::batch_norm, 5, 5, 1}};
  for (const auto& row : rows) {
    INFO(std::string(op_name(row.op)));
    CHECK(op_info(row.op).required_inputs == row.required);
    CHECK(op_info(row.op).max_inputs == row.inputs);
    CHECK(op_info(row.op).max_outputs == row.outputs);
  }
  CHECK(input_optional(Op::adam, 3));
  CHECK_FALSE(input_optional(Op::adam, 4));
  CHECK_FALSE(input_optional(Op::concat, 7));
  CHECK(updated_input(Op::momentum, 1) == 4);
  CHECK(updated_input(Op::adam, 2) == 5);
  CHECK(updated_input(Op::conv2d, 0) == -1);
}

}  // namespace attune::test
