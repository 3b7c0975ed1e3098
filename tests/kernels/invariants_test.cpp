#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "tests/kernels/samples.h"

// What holds for every operator, whatever it computes.
namespace attune::test {
namespace {

// Labels a failure with the sample it happened in.
#define INFO_SAMPLE(sample) INFO(op_name((sample).call.op), " ", (sample).name)

bool same_bits(const std::vector<Value>& a, const std::vector<Value>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (!a[i].same_bits(b[i])) return false;
  return a.size() == b.size();
}

}  // namespace

TEST_CASE("every operator has reference kernels in f32 and f64, and a sample") {
  std::set<Op> sampled;
  for (const Sample& s : samples()) sampled.insert(s.call.op);
  for (const OpInfo& info : kOps) {
    INFO(info.name);
    for (DType dtype : {DType::f32, DType::f64}) {
      const Kernel* kernel = find_kernel(Backend::reference, info.op, dtype);
      REQUIRE(kernel != nullptr);
      CHECK(static_cast<bool>(kernel->run));
    }
    CHECK(find_kernel(Backend::reference, info.op, DType::i32) == nullptr);
    CHECK(sampled.count(info.op) == 1);
  }
}

TEST_CASE("an id that no operator has finds no kernel") {
  for (int backend = 0; backend < kBackendCount; ++backend)
    CHECK(find_kernel(static_cast<Backend>(backend), static_cast<Op>(kOpCount), DType::f32) ==
          nullptr);
}

TEST_CASE("a backend that is not there has no kernels") {
  CHECK(backend_available(Backend::reference));
  for (Backend backend : {Backend::eigen, Backend::xnnpack, Backend::simd}) {
    if (backend_available(backend)) continue;
    for (const OpInfo& info : kOps) CHECK(find_kernel(backend, info.op, DType::f32) == nullptr);
  }
}

TEST_CASE("outputs are overwritten whole, whatever they held") {
  for (const Sample& s : samples()) {
    INFO_SAMPLE(s);
    RunOptions zeros, ones;
    zeros.garbage = 0;
    ones.garbage = 0xff;
    CHECK(same_bits(run(s.call, zeros), run(s.call, ones)));
  }
}

TEST_CASE("any number of threads gives the same bits") {
  for (const Sample& s : samples()) {
    INFO_SAMPLE(s);
    for (DType real : {DType::f32, DType::f64}) {
      RunOptions one, two;
      one.real = two.real = real;
      two.threads = 2;
      CHECK(same_bits(run(s.call, two), run(s.call, one)));
    }
  }
}

TEST_CASE("an output on an input gives the same bits where ops.def promises it") {
  int checked = 0;
  for (const Sample& s : samples()) {
    INFO_SAMPLE(s);
    for (int i = 0; i < static_cast<int>(s.call.inputs.size()); ++i) {
      if (!(op_info(s.call.op).in_place >> i & 1)) continue;
      const Value& input = s.call.inputs[i];
      if (!(input.shape() == s.call.outputs[0].shape()) || !is_real(input.dtype())) continue;
      for (int threads : {1, 2}) {
        for (DType real : {DType::f32, DType::f64}) {
          RunOptions apart, on;
          apart.real = on.real = real;
          on.threads = threads;
          on.in_place = i;
          CHECK(same_bits(run(s.call, on), run(s.call, apart)));
          ++checked;
        }
      }
    }
  }
  CHECK(checked > 100);
}

TEST_CASE("f32 is f64 but for rounding") {
  for (const Sample& s : samples()) {
    INFO_SAMPLE(s);
    RunOptions single;
    single.real = DType::f32;
    const std::vector<Value> a = run(s.call, single), b = run(s.call);
    for (size_t i = 0; i < a.size(); ++i) {
      // Masks and argmax of these samples do not hang on a rounding.
      if (is_real(b[i].dtype()))
        CHECK(relative_difference(a[i], b[i]) < 4e-6);
      else
        CHECK(a[i].same_bits(b[i]));
    }
  }
}

TEST_CASE("bits of a mask after the last element are zero") {
  int checked = 0;
  for (const Sample& s : samples()) {
    INFO_SAMPLE(s);
    const std::vector<Value> outputs = run(s.call);
    for (const Value& v : outputs) {
      if (v.dtype() != DType::mask || v.size() % 8 == 0) continue;
      const auto* bytes = static_cast<const uint8_t*>(v.data());
      CHECK((bytes[v.bytes() - 1] >> (v.size() % 8)) == 0);
      ++checked;
    }
  }
  CHECK(checked > 10);
}

}  // namespace attune::test
