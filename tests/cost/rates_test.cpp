// How long a step takes: what was measured, what lies between, and what nothing is known of.
#include "sparse_update/cost/rates.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/cost/support.h"

namespace attune::test {
namespace {

StepWork product(uint64_t rows, const char* kind = "1x1", Backend backend = Backend::simd) {
  StepWork work{Op::conv2d, backend, kind, "", 0, 0};
  work.shape = fmt::format("f32:1x{}x1x64 f32:64x1x1x64* > f32:1x{}x1x64", rows, rows);
  work.macs = rows * 64 * 64;
  work.bytes = 4 * (2 * rows * 64 + 64 * 64);
  return work;
}

// A point that reaches `share` of the roofline of the flat target.
RatePoint point(const StepWork& work, double share) {
  return {work.op,
          work.backend,
          work.kind,
          work.shape,
          work.macs,
          work.bytes,
          flat_target(1).roofline_us(work.macs, work.bytes) / share};
}

double share_of(const Rates& rates, const StepWork& work) {
  return rates.target().roofline_us(work.macs, work.bytes) / rates.time(work).us;
}

TEST_CASE("a machine of which nothing but the peak is known gives its roofline") {
  const Rates rates(flat_target(1));
  const StepTime compute = rates.time(product(10000));
  CHECK(compute.basis == Basis::roofline);
  CHECK(compute.us == doctest::Approx(2e-3 * 10000 * 64 * 64 / 100 + 1));
  StepWork copy{Op::add, Backend::simd, "same", "f32:1000000 f32:1000000 > f32:1000000",
                0,       12'000'000};
  CHECK(rates.time(copy).us == doctest::Approx(1200 + 1));
}

TEST_CASE("a step that was measured takes what it took, whatever is near it") {
  Target target = flat_target(1);
  for (const uint64_t rows : {10, 100, 1000}) target.points.push_back(point(product(rows), 0.5));
  target.points.push_back(point(product(101), 0.01));
  const Rates rates(target);
  CHECK(rates.time(product(100)).basis == Basis::measured);
  CHECK(rates.time(product(100)).us == target.points[1].us);
  CHECK(rates.time(product(101)).us == target.points[3].us);
  // Another backend's time is not this one's.
  CHECK(rates.time(product(100, "1x1", Backend::eigen)).basis == Basis::similar);
}

// In a program that moves so many bytes.
StepWork within(StepWork work, uint64_t program_bytes) {
  work.program_bytes = program_bytes;
  return work;
}
RatePoint point_within(const StepWork& work, double share) {
  RatePoint made = point(work, share);
  made.program_bytes = work.program_bytes;
  return made;
}

TEST_CASE(
    "a step that was measured in programs of several sizes takes what it took in the nearest") {
  Target target = flat_target(1);
  target.points.push_back(point_within(within(product(100), 1'000'000), 0.5));
  target.points.push_back(point_within(within(product(100), 64'000'000), 0.05));
  const Rates rates(target);
  const StepTime small = rates.time(within(product(100), 1'400'000));
  CHECK(small.basis == Basis::measured);
  CHECK(small.us == target.points[0].us);
  const StepTime large = rates.time(within(product(100), 40'000'000));
  CHECK(large.basis == Basis::measured);
  CHECK(large.us == target.points[1].us);
  // Of a size between, it lies between; of a program of no known size, either will do.
  const StepTime between = rates.time(within(product(100), 8'000'000));
  CHECK(between.basis == Basis::similar);
  CHECK(between.us > small.us);
  CHECK(between.us < large.us);
  CHECK(rates.time(product(100)).basis == Basis::measured);
}

TEST_CASE("a point of a program of no known size holds for each") {
  Target target = flat_target(1);
  target.points.push_back(point(product(100), 0.5));
  const Rates rates(target);
  for (const uint64_t bytes : {0, 1000, 1'000'000'000})
    CHECK(rates.time(within(product(100), bytes)).us == target.points[0].us);
}

TEST_CASE("among alike steps, those of programs of about the same size speak loudest") {
  Target target = flat_target(1);
  for (const uint64_t rows : {90, 110}) {
    target.points.push_back(point_within(within(product(rows), 1'000'000), 0.8));
    target.points.push_back(point_within(within(product(rows), 256'000'000), 0.1));
  }
  const Rates rates(target);
  CHECK(share_of(rates, within(product(100), 1'000'000)) > 0.6);
  CHECK(share_of(rates, within(product(100), 256'000'000)) < 0.15);
}

TEST_CASE("bytes of programs are rounded so that programs of about the same size are alike") {
  CHECK(rounded_program_bytes(0) == 0);
  CHECK(rounded_program_bytes(1) == 1);
  CHECK(rounded_program_bytes(1 << 20) == 1 << 20);
  CHECK(rounded_program_bytes((1 << 20) + 5000) == 1 << 20);
  CHECK(rounded_program_bytes(1'500'000) == 1'482'910);  // 2^20.5
}

TEST_CASE("a point of no backend holds for each") {
  Target target = flat_target(1);
  target.points.push_back(point(product(100), 0.25));
  target.points.back().backend.reset();
  const Rates rates(target);
  CHECK(rates.time(product(100, "1x1", Backend::eigen)).basis == Basis::measured);
  CHECK(rates.time(product(100)).us == target.points[0].us);
}

TEST_CASE("between measured sizes the share of the roofline lies between theirs, nearest first") {
  Target target = flat_target(1);
  target.points.push_back(point(product(100), 0.2));
  target.points.push_back(point(product(10000), 0.8));
  const Rates rates(target);
  const double middle = share_of(rates, product(1000));
  CHECK(middle == doctest::Approx(0.4).epsilon(0.02));  // sqrt(0.2 * 0.8): in log space
  double last = 0.2;
  for (const uint64_t rows : {150, 400, 1000, 3000, 8000}) {
    const double share = share_of(rates, product(rows));
    CHECK(rates.time(product(rows)).basis == Basis::similar);
    CHECK(share > last);
    CHECK(share < 0.8);
    last = share;
  }
  // More work of the same kind takes more time.
  CHECK(rates.time(product(3000)).us > rates.time(product(400)).us);
}

TEST_CASE("points of the same kind speak before those of the operator, and these before any") {
  Target target = flat_target(1);
  for (const uint64_t rows : {100, 200}) {
    target.points.push_back(point(product(rows, "1x1"), 0.5));
    target.points.push_back(point(product(rows, "3x3"), 0.1));
    target.points.push_back(point(product(rows, "3x3", Backend::reference), 0.01));
  }
  const Rates rates(target);
  CHECK(share_of(rates, product(150, "1x1")) == doctest::Approx(0.5));
  CHECK(share_of(rates, product(150, "3x3")) == doctest::Approx(0.1));
  CHECK(share_of(rates, product(150, "3x3", Backend::reference)) == doctest::Approx(0.01));
  // A kind that nobody measured: of the same backend.
  const double other = share_of(rates, product(150, "5x5"));
  CHECK(other > 0.1);
  CHECK(other < 0.5);
  // An operator that nobody measured.
  StepWork add = product(150, "same");
  add.op = Op::add;
  CHECK(rates.time(add).basis == Basis::similar);
  CHECK(share_of(rates, add) < 0.5);
  CHECK(share_of(rates, add) > 0.01);
}

TEST_CASE("a single point of an operator is better than many of others") {
  Target target = flat_target(1);
  for (const uint64_t rows : {100, 200, 300}) target.points.push_back(point(product(rows), 0.5));
  RatePoint by_hand;
  by_hand.op = Op::add;
  by_hand.bytes = 1000;
  by_hand.us = target.roofline_us(0, 1000) / 0.125;
  target.points.push_back(by_hand);
  const Rates rates(target);
  StepWork add{Op::add, Backend::simd, "same", "f32:100 f32:100 > f32:100", 0, 1200};
  CHECK(share_of(rates, add) == doctest::Approx(0.125));
}

TEST_CASE("work is described alike for every call of the same shapes, and reals do not count") {
  float memory[64] = {};
  Tensor inputs[] = {{memory, DType::f32, false, false, {1, 4, 4, 8}},
                     {memory, DType::f32, true, false, {16, 3, 3, 8}},
                     {}};
  Tensor outputs[] = {{memory, DType::f32, false, false, {1, 4, 4, 16}}, {}};
  Conv2dAttrs attrs;
  attrs.pad_top = attrs.pad_bottom = attrs.pad_left = attrs.pad_right = 1;
  KernelArgs args{
      .inputs = inputs, .num_inputs = 3, .outputs = outputs, .num_outputs = 2, .attrs = &attrs};
  const StepWork plain = step_work(Op::conv2d, Backend::simd, args, 18432);
  CHECK(plain.kind == "3x3");
  CHECK(plain.shape ==
        "f32:1x4x4x8 f32:16x3x3x8* - > f32:1x4x4x16 - | pad_top=1 pad_left=1 pad_bottom=1 "
        "pad_right=1");
  CHECK(plain.bytes == 4 * (128 + 1152 + 256));
  attrs.clamp_max = 6;
  const StepWork six = step_work(Op::conv2d, Backend::simd, args, 18432);
  attrs.clamp_max = 1;
  CHECK(step_work(Op::conv2d, Backend::simd, args, 18432).shape == six.shape);
  CHECK(six.shape != plain.shape);
  outputs[1] = {memory, DType::mask, false, false, {1, 4, 4, 16}};
  attrs.stride_h = attrs.stride_w = 2;
  const StepWork masked = step_work(Op::conv2d, Backend::simd, args, 18432);
  CHECK(masked.kind == "3x3/2 mask");
  CHECK(masked.bytes == plain.bytes + 32);
  inputs[1].frozen = false;
  CHECK(step_work(Op::conv2d, Backend::simd, args, 18432).shape != masked.shape);
}

TEST_CASE("a step that takes or updates some slices moves these, not the whole") {
  float memory[1] = {};
  SliceAttrs slice_attrs;
  Tensor image{memory, DType::f32, false, false, {1, 128, 128, 3}};
  Tensor rows{memory, DType::f32, false, false, {1, 4, 128, 3}};
  const KernelArgs slice{
      .inputs = &image, .num_inputs = 1, .outputs = &rows, .num_outputs = 1, .attrs = &slice_attrs};
  CHECK(moved_bytes(Op::slice, slice) == 2 * rows.bytes());

  AxisAttrs axis_attrs;
  const Tensor indices{memory, DType::i32, true, false, {5}};
  Tensor gathered{memory, DType::f32, false, false, {1, 128, 128, 5}};
  Tensor chosen_from[] = {{memory, DType::f32, false, false, {1, 128, 128, 40}}, indices};
  const KernelArgs gather{.inputs = chosen_from,
                          .num_inputs = 2,
                          .outputs = &gathered,
                          .num_outputs = 1,
                          .attrs = &axis_attrs};
  CHECK(moved_bytes(Op::gather, gather) == 2 * gathered.bytes() + 20);
  CHECK(step_work(Op::gather, Backend::reference, gather, 0).bytes ==
        moved_bytes(Op::gather, gather));

  MomentumAttrs momentum_attrs;
  const Tensor weight{memory, DType::f32, false, false, {64, 1, 1, 40}};
  Tensor updated[] = {weight,
                      {memory, DType::f32, false, false, {64, 1, 1, 5}},
                      {memory, DType::f32, false, false, {1}},
                      indices,
                      {memory, DType::f32, false, false, {64, 1, 1, 5}}};
  Tensor state[] = {weight, updated[4]};
  KernelArgs update{.inputs = updated,
                    .num_inputs = 5,
                    .outputs = state,
                    .num_outputs = 2,
                    .attrs = &momentum_attrs};
  CHECK(moved_bytes(Op::momentum, update) == 5 * updated[1].bytes() + 4 + 20);
  updated[3] = {};  // the whole weight
  updated[1] = updated[4] = state[1] = weight;
  CHECK(moved_bytes(Op::momentum, update) == 5 * weight.bytes() + 4);
}

}  // namespace
}  // namespace attune::test
