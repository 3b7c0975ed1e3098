#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attune/thread_pool.h"
#include "kernels/kernel.h"

// Memory for tests of kernels: every buffer is exactly as large as its tensor and lies between
// guard bytes, so that a kernel that writes elsewhere is found out.
namespace attune::test {

class Value {
 public:
  Value() = default;  // absent
  Value(DType dtype, Shape shape);

  static Value reals(Shape shape, std::vector<double> elements, DType dtype = DType::f64);
  static Value ints(Shape shape, std::vector<int> elements);
  // Reproducible numbers in [low, high) that f32 holds exactly, in f64.
  static Value random(Shape shape, int seed, double low = -1, double high = 1);

  bool absent() const { return buffer_.empty(); }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t size() const { return shape_.elements(); }
  Tensor tensor();
  void* data();
  const void* data() const;
  size_t bytes() const { return dtype_bytes(dtype_, static_cast<size_t>(size())); }

  double at(int64_t i) const;
  void set(int64_t i, double value);
  // f64 becomes f32 or the other way; everything else stays.
  Value as(DType real) const;
  void fill_bytes(uint8_t byte);
  bool same_bits(const Value& other) const;
  bool guards_intact() const;

 private:
  DType dtype_ = DType::f64;
  Shape shape_;
  std::vector<uint8_t> buffer_;
};

// One call of an operator. `outputs` carry shapes and dtypes, or, for updates, contents.
struct Call {
  Op op;
  const void* attrs = nullptr;
  std::vector<Value> inputs;
  std::vector<Value> outputs;
};

struct RunOptions {
  Backend backend = Backend::reference;
  DType real = DType::f64;
  int threads = 1;
  uint8_t garbage = 0xff;  // what outputs hold before: NaN
  int in_place = -1;       // the input that output 0 lies on
};

// Runs a kernel, the reference one unless asked otherwise, with all real tensors in `options.real`
// and returns the outputs (for updates, what they wrote over). Guards are checked.
std::vector<Value> run(const Call& call, const RunOptions& options = {});
Value run1(Op op, const void* attrs, std::vector<Value> inputs, Value output,
           const RunOptions& options = {});

// Whether the backend has a kernel for the call and takes it.
bool supports(Backend backend, const Call& call, DType real);

// The largest difference between elements, relative to the largest magnitude in b (at least 1).
double relative_difference(const Value& a, const Value& b);

std::string shape_text(const Shape& shape);

}  // namespace attune::test
