// Constant places steer what kernels read and write: a plan whose places are wrong is refused.
#include <doctest/doctest.h>

#include <cstring>

#include "tests/plan/support.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

// x [N,6] W -> four of its columns -> the largest 3 of them.
std::vector<std::byte> plan_of_places() {
  OnnxBuilder b(18);
  b.input("x", {-1, 6}).output("y").tensor("w", {6, 6});
  b.node("MatMul", {"x", "w"}, {"a"});
  b.ints("columns", {5, 0, 3, 3});
  set_int(b.node("Gather", {"a", "columns"}, {"chosen"}), "axis", 1);
  b.ints("three", {3});
  b.node("TopK", {"chosen", "three"}, {"y", "where"});
  CompileOptions options;
  options.scheme = "full", options.loss = Loss::mean_squared_error, options.batch = 2;
  return compile(b.model(), options).plan;
}

// The error after `change` of the places (or the K largest) of every step of an operator.
template <class F>
std::string error_of_step(Op op, F&& change) {
  int changed = 0;
  const std::vector<std::byte> bytes = plan_of_places();
  LoadedPlan loaded(bytes);
  for (const format::Program* program : *loaded.plan().table().programs())
    for (const format::Step* step : *program->steps()) {
      if (static_cast<Op>(step->op()) != op) continue;
      change(loaded, *program, *step);
      ++changed;
    }
  CHECK(changed > 0);
  set_checksum(loaded.bytes());
  Plan again;
  const Status status = Plan::from_memory(loaded.bytes(), "test.att", &again);
  return status ? "" : status.message();
}

std::string error_of_place(Op op, int32_t place) {
  return error_of_step(op, [&](LoadedPlan& loaded, const format::Program& program,
                               const format::Step& step) {
    const format::Tensor* places =
        program.tensors()->Get(static_cast<unsigned>(step.inputs()->Get(1)));
    REQUIRE(places->segment() == format::Segment::constants);
    PlanHeader header;
    std::memcpy(&header, loaded.bytes().data(), sizeof(header));
    std::memcpy(loaded.bytes().data() + header.constants_offset + places->offset() + 4, &place, 4);
  });
}

}  // namespace

TEST_CASE("places outside of their axis are refused, and others are not") {
  for (const Op op : {Op::select, Op::scatter_add}) {
    CAPTURE(std::string(op_name(op)));
    CHECK(error_of_place(op, 5) == "");
    for (const int32_t place : {6, -1, INT32_MAX, INT32_MIN})
      CHECK(contains(error_of_place(op, place), "is out of order or range"));
  }
}

TEST_CASE("places that are not constant are refused") {
  const auto text = error_of_step(
      Op::select, [](LoadedPlan&, const format::Program& program, const format::Step& step) {
        const format::Tensor* places =
            program.tensors()->Get(static_cast<unsigned>(step.inputs()->Get(1)));
        REQUIRE(set_field(places, format::Tensor::VT_SEGMENT,
                          static_cast<uint8_t>(format::Segment::arena)));
      });
  CHECK(contains(text, "are not constant"));
}

TEST_CASE("more of the largest than there are is refused") {
  const auto text = error_of_step(
      Op::top_k, [](LoadedPlan&, const format::Program& program, const format::Step& step) {
        for (const int32_t id : *step.outputs()) {
          if (id < 0) continue;
          const format::Tensor* made = program.tensors()->Get(static_cast<unsigned>(id));
          const_cast<flatbuffers::Vector<int32_t>*>(made->shape())->Mutate(1, 5);
        }
      });
  CHECK(contains(text, "more of the largest than there are"));
}

}  // namespace attune::test
