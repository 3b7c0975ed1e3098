#include <doctest/doctest.h>

#include <set>
#include <vector>

#include "tests/kernels/samples.h"

// The samples of every operator, on the simd backend.
namespace attune::test {

TEST_CASE("simd: samples agree with the reference, in place and with threads too") {
  if (!backend_available(Backend::simd)) {
    MESSAGE("built without Highway: skipped");
    return;
  }
  std::set<Op> run_ops;
  std::vector<const Sample*> all;
  for (const auto* list : {&samples(), &large_samples()})
    for (const Sample& s : *list) all.push_back(&s);
  for (const Sample* const sample : all) {
    const Sample& s = *sample;
    INFO(op_name(s.call.op), " ", s.name);
    if (!supports(Backend::simd, s.call, DType::f32)) continue;
    run_ops.insert(s.call.op);
    RunOptions single;
    single.backend = Backend::simd;
    single.real = DType::f32;
    const std::vector<Value> truth = run(s.call), a = run(s.call, single);
    for (size_t i = 0; i < a.size(); ++i) {
      if (is_real(a[i].dtype()))
        CHECK(relative_difference(a[i], truth[i]) < 4e-6);
      else
        CHECK(a[i].same_bits(truth[i]));
    }
    RunOptions other = single;
    for (other.threads = 2; other.threads <= 3; ++other.threads) {
      const std::vector<Value> b = run(s.call, other);
      for (size_t i = 0; i < a.size(); ++i) CHECK(a[i].same_bits(b[i]));
    }
    for (int i = 0; i < static_cast<int>(s.call.inputs.size()); ++i) {
      const Value& input = s.call.inputs[i];
      if (!(op_info(s.call.op).in_place >> i & 1) || !is_real(input.dtype()) ||
          !(input.shape() == s.call.outputs[0].shape()))
        continue;
      RunOptions on = single;
      on.in_place = i;
      const std::vector<Value> b = run(s.call, on);
      for (size_t j = 0; j < a.size(); ++j) CHECK(a[j].same_bits(b[j]));
    }
  }
  for (Op op : {Op::conv2d,
                Op::conv2d_grad_input,
                Op::conv2d_grad_weight,
                Op::depthwise_conv2d,
                Op::depthwise_conv2d_grad_input,
                Op::depthwise_conv2d_grad_weight,
                Op::linear,
                Op::matmul,
                Op::add,
                Op::clamp,
                Op::clamp_mask,
                Op::mask_grad,
                Op::reduce,
                Op::broadcast_to,
                Op::max_pool2d,
                Op::max_pool2d_grad,
                Op::transpose,
                Op::normalize,
                Op::sgd,
                Op::momentum,
                Op::adam}) {
    INFO(op_name(op));
    CHECK(run_ops.count(op) == 1);
  }
}

TEST_CASE("simd: depthwise lines of any length agree with the reference") {
  if (!backend_available(Backend::simd)) return;
  RunOptions simd;
  simd.backend = Backend::simd;
  simd.real = DType::f32;
  constexpr int32_t kChannels = 24;
  for (int32_t length = 1; length <= 33; ++length)
    for (const int32_t stride : {1, 2}) {
      INFO("lines of ", length, ", stride ", stride);
      Conv2dAttrs attrs;
      attrs.stride_h = attrs.stride_w = stride;
      attrs.pad_top = attrs.pad_left = 1;
      attrs.pad_bottom = attrs.pad_right = 3 - stride;
      attrs.groups = kChannels;
      const Shape x{1, 5, length, kChannels};
      const auto outputs = [&](int32_t size) {
        return (size + attrs.pad_top + attrs.pad_bottom - 3) / stride + 1;
      };
      const Shape y{1, outputs(5), outputs(length), kChannels}, w{3, 3, kChannels};
      const Value image = Value::random(x, 1), weight = Value::random(w, 2),
                  dy = Value::random(y, 3);
      const Value of_x(DType::f64, x), of_y(DType::f64, y), of_w(DType::f64, w);
      const Call calls[] = {{Op::depthwise_conv2d, &attrs, {image, weight}, {of_y}},
                            {Op::depthwise_conv2d_grad_input, &attrs, {dy, weight}, {of_x}},
                            {Op::depthwise_conv2d_grad_weight, &attrs, {image, dy}, {of_w}}};
      for (const Call& call : calls) {
        INFO(op_name(call.op));
        REQUIRE(supports(Backend::simd, call, DType::f32));
        CHECK(relative_difference(run(call, simd)[0], run(call)[0]) < 4e-6);
      }
      // A mask tells of the very outputs that come with it.
      Conv2dAttrs clamping = attrs;
      clamping.clamp_min = 0, clamping.clamp_max = 0.5;
      const std::vector<Value> clamped = run(
          {Op::depthwise_conv2d, &clamping, {image, weight}, {of_y, Value(DType::mask, y)}}, simd);
      const ClampAttrs clamp{0, 0.5};
      CHECK(run1(Op::clamp_mask, &clamp, {clamped[0]}, clamped[1]).same_bits(clamped[1]));
    }
}

TEST_CASE("simd: bytes become the numbers of the reference, bit for bit") {
  if (!backend_available(Backend::simd)) return;
  int images = 0;
  for (const Sample& s : samples()) {
    if (s.call.op != Op::normalize) continue;
    RunOptions simd, reference;
    simd.real = reference.real = DType::f32;
    simd.backend = Backend::simd;
    if (!supports(Backend::simd, s.call, DType::f32)) continue;
    CHECK(run(s.call, simd)[0].same_bits(run(s.call, reference)[0]));
    ++images;
  }
  CHECK(images >= 3);
}

}  // namespace attune::test
