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
