// A small plan that tells the same things again and again, or has the same numbers checked by every
// step, would keep its reader busy for hours.
#include "engine/format/plan_limits.h"

#include <doctest/doctest.h>

#include "attune/dtype.h"
#include "engine/format/plan_tensor.h"
#include "tests/plan/support.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

// The error of a plan with one program, whose parts `make` adds.
template <class F>
std::string error_of_plan(F&& make, size_t constants_bytes = 64) {
  FlatBufferBuilder b;
  std::vector<Offset<format::Tensor>> tensors;
  std::vector<Offset<format::Step>> steps;
  std::vector<Offset<format::Port>> ports;
  make(b, tensors, steps, ports);
  const std::vector<Offset<format::Program>> programs = {
      format::CreateProgramDirect(b, 0, 1, &tensors, &steps, &ports)};
  const auto all = b.CreateVector(programs);
  const auto loss = b.CreateString("cross_entropy");
  format::PlanBuilder plan(b);
  plan.add_loss(loss);
  plan.add_programs(all);
  b.Finish(plan.Finish(), format::PlanIdentifier());
  const std::vector<std::byte> constants(constants_bytes);
  const Status status =
      check_plan_limits(*format::GetPlan(b.GetBufferPointer()), b.GetSize(), constants, "test.att");
  return status ? "" : status.message();
}

Offset<format::Tensor> constant(FlatBufferBuilder& b, int32_t elements) {
  const std::vector<int32_t> shape = {elements};
  return format::CreateTensorDirect(b, "numbers", static_cast<uint8_t>(DType::i32), &shape,
                                    format::Segment::constants);
}

std::string error_of_steps(int count, int32_t numbers, size_t constants_bytes = 64) {
  return error_of_plan(
      [&](FlatBufferBuilder& b, auto& tensors, auto& steps, auto&) {
        tensors.push_back(constant(b, numbers));
        const std::vector<int32_t> inputs = {0, -1, 77};
        for (int i = 0; i < count; ++i)
          steps.push_back(format::CreateStepDirect(b, 0, 1, 0, "step", &inputs));
      },
      constants_bytes);
}

}  // namespace

TEST_CASE("steps that check the same numbers count each time") {
  CHECK(error_of_steps(10, 1000) == "");
  CHECK(error_of_steps(16, 1 << 20) == "");
  CHECK(contains(error_of_steps(17, 1 << 20), "index with more numbers than it holds"));
  CHECK(error_of_steps(17, 1 << 20, 4 << 20) == "");
  CHECK(contains(error_of_steps(1000, INT32_MAX), "index with more numbers"));
}

TEST_CASE("texts and lists that a plan tells again and again count each time") {
  const auto ports = [](int count, size_t name_bytes) {
    return error_of_plan([&](FlatBufferBuilder& b, auto&, auto&, auto& made) {
      const auto name = b.CreateString(std::string(name_bytes, 'n'));
      for (int i = 0; i < count; ++i) made.push_back(format::CreatePort(b, name));
    });
  };
  CHECK(ports(1000, 30) == "");
  CHECK(contains(ports(1000, 60'000), "again and again"));
  CHECK(contains(ports(1, 70'000), "longer than any"));
  const auto shared_list = [](int count, size_t elements) {
    return error_of_plan([&](FlatBufferBuilder& b, auto&, auto& steps, auto&) {
      const auto list = b.CreateVector(std::vector<int32_t>(elements, -1));
      for (int i = 0; i < count; ++i) {
        format::StepBuilder step(b);
        step.add_inputs(list);
        steps.push_back(step.Finish());
      }
    });
  };
  CHECK(shared_list(1000, 10) == "");
  CHECK(contains(shared_list(1000, 10'000), "again and again"));
}

TEST_CASE("what is compiled keeps within the limits") {
  OnnxBuilder b;
  const std::string name(500, 'n');
  b.input("x", {-1, 4}).output("y").tensor(name, {4, 4}).tensor("v", {4, 3});
  b.node("MatMul", {"x", name}, {name + "h"});
  b.node("Relu", {name + "h"}, {name + "r"});
  b.node("MatMul", {name + "r", "v"}, {"y"});
  CompileOptions options;
  options.scheme = "full";
  const LoadedPlan loaded(compile(b.model(), options).plan);
  CHECK(loaded.plan().table().programs()->size() == 3);
}

}  // namespace attune::test
