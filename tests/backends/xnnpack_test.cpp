#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/backends/cases.h"

namespace attune::test {
namespace {

constexpr double kF32Error = 1e-6;

bool have_xnnpack() {
  if (backend_available(Backend::xnnpack)) return true;
  MESSAGE("built without XNNPACK: skipped");
  return false;
}

Result check_call(const Call& call, bool with_threads = true) {
  INFO(call.name, ", ", std::string(op_name(call.op)));
  REQUIRE(supports(Backend::xnnpack, call));
  const Result truth = run(Backend::reference, call, DType::f64);
  const Result single = run(Backend::xnnpack, call);
  CHECK(norm_error(single, truth) < kF32Error);
  const int threads = call.output.last() % 4 == 1 ? 3 : 2;
  if (with_threads) CHECK((run(Backend::xnnpack, call, DType::f32, threads) == single));
  // It packs all the weights at least.
  CHECK(single.held_bytes >= call.inputs[1].elements.size() * sizeof(float));
  return single;
}

// The same call with one thing changed, to see what `supports` says.
template <class F>
bool takes_changed(Call call, F&& change) {
  change(call);
  return supports(Backend::xnnpack, call);
}

void set_attrs(Call& call, Conv2dAttrs attrs) { call.attrs = share(attrs); }

}  // namespace

TEST_CASE("XNNPACK: convolutions agree with the reference, whatever the bias and the threads") {
  if (!have_xnnpack()) return;
  for (const Conv& conv : conv_cases())
    for (bool depthwise : {false, true}) {
      if (depthwise && conv.groups != 1) continue;
      if (depthwise && conv.kh * conv.kw > 25) {
        CHECK_FALSE(supports(Backend::xnnpack, conv_forward(conv, true, Bias::absent, false)));
        continue;
      }
      for (Bias bias : {Bias::absent, Bias::trained, Bias::frozen})
        for (bool clamps : {false, true}) {
          const Result y = check_call(conv_forward(conv, depthwise, bias, clamps),
                                      clamps == (bias == Bias::trained));
          if (clamps) check_mask(y, kClampMin, kClampMax);
        }
    }
}

TEST_CASE("XNNPACK: gradients of inputs agree with the reference where they are supported") {
  if (!have_xnnpack()) return;
  int taken[2] = {}, refused[2] = {};
  for (const Conv& conv : conv_cases())
    for (bool depthwise : {false, true}) {
      if (depthwise && conv.groups != 1) continue;
      INFO(conv.name);
      const Call call = conv_grad_input(conv, depthwise);
      const bool unit = conv.stride_h == 1 && conv.stride_w == 1;
      const bool dilates = conv.dilation_h != 1 || conv.dilation_w != 1;
      const bool skips = conv.stride_h > conv.kh || conv.stride_w > conv.kw;
      const int span_h = (conv.kh - 1) * conv.dilation_h, span_w = (conv.kw - 1) * conv.dilation_w;
      const bool overpadded =
          std::max(conv.top, conv.bottom) > span_h || std::max(conv.left, conv.right) > span_w;
      const bool expected =
          depthwise ? unit && !overpadded && conv.kh * conv.kw <= 25 : unit || (!dilates && !skips);
      CHECK(supports(Backend::xnnpack, call) == expected);
      ++(expected ? taken : refused)[depthwise];
      if (expected) check_call(call);
    }
  for (bool depthwise : {false, true}) {
    CHECK(taken[depthwise] >= 10);
    CHECK(refused[depthwise] >= 3);
  }
}

TEST_CASE("XNNPACK: linear agrees with the reference") {
  if (!have_xnnpack()) return;
  for (int rows : {1, 3, 5, 32})
    for (int inputs : {1, 7, 129})
      for (int outputs : {1, 8, 17, 130})
        for (Bias bias : {Bias::absent, Bias::trained, Bias::frozen})
          for (bool clamps : {false, true}) {
            const Result y = check_call(linear_forward(rows, inputs, outputs, bias, clamps),
                                        clamps == (bias == Bias::trained));
            if (clamps) check_mask(y, kClampMin, kClampMax);
          }
}

TEST_CASE("XNNPACK: takes nothing that breaks its contracts") {
  if (!have_xnnpack()) return;
  const Conv conv{"", 1, 8, 9, 4, 6, 3, 3, 1, 1, 1, 1, 1, 1};
  const auto refuses = [&](auto&& change_call, auto&& change_attrs) {
    for (bool depthwise : {false, true})
      for (bool grad : {false, true}) {
        Call call = grad ? conv_grad_input(conv, depthwise)
                         : conv_forward(conv, depthwise, Bias::frozen, false);
        INFO(std::string(op_name(call.op)));
        REQUIRE(supports(Backend::xnnpack, call));
        Conv2dAttrs attrs = conv.attrs();
        change_attrs(attrs);
        set_attrs(call, attrs);
        CHECK_FALSE(takes_changed(call, change_call));
      }
  };
  const auto same_call = [](Call&) {};
  const auto same_attrs = [](Conv2dAttrs&) {};
  refuses([](Call& c) { c.inputs[1].frozen = false; }, same_attrs);
  refuses([](Call& c) { c.output[1] -= 1; }, same_attrs);
  refuses([](Call& c) { c.output[3] += 1; }, same_attrs);
  refuses([](Call& c) { c.output[0] += 1; }, same_attrs);
  refuses(same_call, [](Conv2dAttrs& a) { a.pad_top = -1, a.pad_bottom = 3; });
  refuses(same_call, [](Conv2dAttrs& a) { a.stride_h = 0; });
  refuses(same_call, [](Conv2dAttrs& a) { a.dilation_w = 0; });
  refuses(same_call, [](Conv2dAttrs& a) { a.dilation_w = 9; });

  const Call call = conv_forward(conv, false, Bias::frozen, false);
  Conv2dAttrs attrs = conv.attrs();
  attrs.groups = 4;
  CHECK_FALSE(takes_changed(call, [&](Call& c) { set_attrs(c, attrs); }));
  attrs.groups = 0;
  CHECK_FALSE(takes_changed(call, [&](Call& c) { set_attrs(c, attrs); }));
  attrs.groups = 1, attrs.clamp_min = attrs.clamp_max = 1;
  CHECK_FALSE(takes_changed(call, [&](Call& c) { set_attrs(c, attrs); }));
  attrs.clamp_min = NAN;
  CHECK_FALSE(takes_changed(call, [&](Call& c) { set_attrs(c, attrs); }));

  Call linear = linear_forward(3, 4, 5, Bias::frozen, false);
  CHECK(supports(Backend::xnnpack, linear));
  CHECK_FALSE(takes_changed(linear, [](Call& c) { c.inputs[1].frozen = false; }));
  LinearAttrs empty_range;
  empty_range.clamp_min = empty_range.clamp_max = 0;
  CHECK_FALSE(takes_changed(linear, [&](Call& c) { c.attrs = share(empty_range); }));
}

TEST_CASE("XNNPACK: computes in single precision only") {
  if (!have_xnnpack()) return;
  for (const OpInfo& info : kOps)
    CHECK(find_kernel(Backend::xnnpack, info.op, DType::f64) == nullptr);
}

}  // namespace attune::test
