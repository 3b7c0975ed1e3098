#include "tests/kernels/harness.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <random>

namespace attune::test {
namespace {

constexpr size_t kGuardBytes = 64;
constexpr uint8_t kGuard = 0xc3;

ThreadPool& pool_of(int threads) {
  static std::map<int, std::unique_ptr<ThreadPool>> pools;
  std::unique_ptr<ThreadPool>& pool = pools[threads];
  if (!pool) pool = std::make_unique<ThreadPool>(threads);
  return *pool;
}

}  // namespace

Value::Value(DType dtype, Shape shape) : dtype_(dtype), shape_(shape) {
  buffer_.assign(bytes() + 2 * kGuardBytes, kGuard);
  fill_bytes(0);
}

Value Value::reals(Shape shape, std::vector<double> elements, DType dtype) {
  Value v(dtype, shape);
  REQUIRE(v.size() == static_cast<int64_t>(elements.size()));
  for (int64_t i = 0; i < v.size(); ++i) v.set(i, elements[i]);
  return v;
}

Value Value::ints(Shape shape, std::vector<int> elements) {
  return reals(shape, {elements.begin(), elements.end()}, DType::i32);
}

Value Value::random(Shape shape, int seed, double low, double high) {
  std::mt19937 engine(static_cast<unsigned>(seed));
  Value v(DType::f64, shape);
  for (int64_t i = 0; i < v.size(); ++i)
    v.set(i, static_cast<float>(low + (high - low) * (engine() / 4294967296.0)));
  return v;
}

void* Value::data() { return absent() ? nullptr : buffer_.data() + kGuardBytes; }
const void* Value::data() const { return absent() ? nullptr : buffer_.data() + kGuardBytes; }

Tensor Value::tensor() {
  Tensor t;
  t.data = data();
  t.dtype = dtype_;
  t.shape = shape_;
  return t;
}

double Value::at(int64_t i) const {
  switch (dtype_) {
    case DType::f32:
      return static_cast<const float*>(data())[i];
    case DType::f64:
      return static_cast<const double*>(data())[i];
    case DType::i32:
      return static_cast<const int32_t*>(data())[i];
    case DType::u8:
      return static_cast<const uint8_t*>(data())[i];
    case DType::mask:
      return static_cast<const uint8_t*>(data())[i / 8] >> (i % 8) & 1;
  }
  return 0;
}

void Value::set(int64_t i, double value) {
  switch (dtype_) {
    case DType::f32:
      static_cast<float*>(data())[i] = static_cast<float>(value);
      return;
    case DType::f64:
      static_cast<double*>(data())[i] = value;
      return;
    case DType::i32:
      static_cast<int32_t*>(data())[i] = static_cast<int32_t>(value);
      return;
    case DType::u8:
      static_cast<uint8_t*>(data())[i] = static_cast<uint8_t>(value);
      return;
    case DType::mask: {
      uint8_t& byte = static_cast<uint8_t*>(data())[i / 8];
      const int bit = 1 << (i % 8);
      byte = static_cast<uint8_t>(value != 0 ? byte | bit : byte & ~bit);
      return;
    }
  }
}

Value Value::as(DType real) const {
  if (absent() || !is_real(dtype_) || dtype_ == real) return *this;
  Value v(real, shape_);
  for (int64_t i = 0; i < size(); ++i) v.set(i, at(i));
  return v;
}

void Value::fill_bytes(uint8_t byte) {
  if (bytes() > 0) std::memset(data(), byte, bytes());
}

bool Value::same_bits(const Value& other) const {
  return dtype_ == other.dtype_ && shape_ == other.shape_ && buffer_ == other.buffer_;
}

bool Value::guards_intact() const {
  if (absent()) return true;
  const auto is_guard = [](uint8_t byte) { return byte == kGuard; };
  return std::all_of(buffer_.begin(), buffer_.begin() + kGuardBytes, is_guard) &&
         std::all_of(buffer_.end() - kGuardBytes, buffer_.end(), is_guard);
}

std::vector<Value> run(const Call& call, const RunOptions& options) {
  const Kernel* kernel = find_kernel(options.backend, call.op, options.real);
  REQUIRE(kernel != nullptr);
  std::vector<Value> inputs, outputs;
  for (const Value& v : call.inputs) inputs.push_back(v.as(options.real));
  for (const Value& v : call.outputs) {
    outputs.push_back(v.as(options.real));
    if (!outputs.back().absent()) outputs.back().fill_bytes(options.garbage);
  }
  const std::vector<Value> inputs_before = inputs;

  // Where each output lies: on memory of its own or on an input.
  std::vector<int> lies_on(outputs.size(), -1);
  for (size_t i = 0; i < outputs.size(); ++i)
    lies_on[i] = updated_input(call.op, static_cast<int>(i));
  if (options.in_place >= 0) lies_on[0] = options.in_place;

  std::vector<Tensor> input_tensors, output_tensors;
  for (Value& v : inputs) input_tensors.push_back(v.tensor());
  for (size_t i = 0; i < outputs.size(); ++i)
    output_tensors.push_back(lies_on[i] < 0 ? outputs[i].tensor() : input_tensors[lies_on[i]]);

  KernelArgs args;
  args.inputs = input_tensors.data();
  args.num_inputs = static_cast<int>(inputs.size());
  args.outputs = output_tensors.data();
  args.num_outputs = static_cast<int>(outputs.size());
  const NoAttrs none;
  args.attrs = call.attrs ? call.attrs : &none;
  args.pool = &pool_of(options.threads);
  const size_t workspace_bytes =
      kernel->workspace_bytes ? kernel->workspace_bytes(args, options.threads) : 0;
  Value workspace(DType::u8, {static_cast<int32_t>(workspace_bytes)});
  args.workspace = workspace_bytes > 0 ? workspace.data() : nullptr;
  kernel->run(args);

  CHECK(workspace.guards_intact());
  for (size_t i = 0; i < inputs.size(); ++i) {
    CHECK(inputs[i].guards_intact());
    if (std::find(lies_on.begin(), lies_on.end(), static_cast<int>(i)) == lies_on.end())
      CHECK(inputs[i].same_bits(inputs_before[i]));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    CHECK(outputs[i].guards_intact());
    if (lies_on[i] >= 0) outputs[i] = inputs[lies_on[i]];
  }
  return outputs;
}

bool supports(Backend backend, const Call& call, DType real) {
  const Kernel* kernel = find_kernel(backend, call.op, real);
  if (!kernel || !kernel->supports) return kernel != nullptr;
  std::vector<Value> values;
  for (const Value& v : call.inputs) values.push_back(v.as(real));
  for (const Value& v : call.outputs) values.push_back(v.as(real));
  std::vector<Tensor> tensors;
  for (Value& v : values) tensors.push_back(v.tensor());
  KernelArgs args;
  args.inputs = tensors.data();
  args.num_inputs = static_cast<int>(call.inputs.size());
  args.outputs = tensors.data() + call.inputs.size();
  args.num_outputs = static_cast<int>(call.outputs.size());
  const NoAttrs none;
  args.attrs = call.attrs ? call.attrs : &none;
  return kernel->supports(args);
}

Value run1(Op op, const void* attrs, std::vector<Value> inputs, Value output,
           const RunOptions& options) {
  return run({op, attrs, std::move(inputs), {std::move(output)}}, options)[0];
}

double relative_difference(const Value& a, const Value& b) {
  REQUIRE(a.size() == b.size());
  double largest = 1, difference = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double x = a.at(i), y = b.at(i);
    if (std::isnan(x) != std::isnan(y)) return INFINITY;
    if (std::isnan(x) || x == y) continue;
    largest = std::max(largest, std::abs(y));
    difference = std::max(difference, std::abs(x - y));
  }
  return difference / largest;
}

std::string shape_text(const Shape& shape) {
  std::string text = "[";
  for (int i = 0; i < shape.rank; ++i) text += (i ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace attune::test
