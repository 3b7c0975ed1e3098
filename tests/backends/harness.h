#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/kernel.h"

// Calls of operators that every backend can run, and what comes out.
namespace attune::test {

// A tensor of a call, in double. Absent where `shape` has rank 0.
struct Operand {
  Shape shape;
  std::vector<double> elements;
  bool frozen = false;
  bool absent() const { return shape.rank == 0; }
};

// Reproducible numbers in [-1, 1) that f32 holds exactly.
Operand random_operand(Shape shape, int seed, bool frozen = false);

struct Call {
  std::string name;
  Op op = Op::conv2d;
  std::shared_ptr<const void> attrs;
  std::vector<Operand> inputs;
  Shape output;
  bool mask = false;  // asks for output 1, a mask of the shape of output 0
};

template <class A>
std::shared_ptr<const void> share(const A& attrs) {
  return std::make_shared<A>(attrs);
}

struct Result {
  DType dtype = DType::f64;
  std::vector<float> f32;
  std::vector<double> f64;
  std::vector<uint8_t> mask;  // whole bytes
  size_t held_bytes = 0;

  double at(size_t i) const { return dtype == DType::f32 ? f32[i] : f64[i]; }
  size_t size() const { return dtype == DType::f32 ? f32.size() : f64.size(); }
  bool operator==(const Result& other) const;  // the same bits of tensors
};

// Whether the backend has a kernel for the call and takes it.
bool supports(Backend backend, const Call& call, DType dtype = DType::f32);

// Runs the kernel twice over memory that ends exactly where the tensors do, with 64 bytes of NaN
// behind each. Checks that it wrote nothing else, overwrote its outputs, allocated nothing and did
// the same both times.
Result run(Backend backend, const Call& call, DType dtype = DType::f32, int threads = 1);

// |a - b| / |b| in the Euclidean norm; |a| where b is zero; infinite where a NaN is.
double norm_error(const Result& a, const Result& b);

// Checks the mask of `result` against its y.
void check_mask(const Result& result, double min, double max);

}  // namespace attune::test
