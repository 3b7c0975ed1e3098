#include "tests/backends/harness.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>

#include "attune/thread_pool.h"
#include "tests/support/allocations.h"

namespace attune::test {
namespace {

constexpr size_t kGuardBytes = 64;
constexpr int kGarbage = 0xff;  // NaN in every real type

// Memory aligned to 64 bytes between two guards.
class Buffer {
 public:
  explicit Buffer(size_t bytes) : bytes_(bytes) {
    const size_t size = (bytes + 2 * kGuardBytes + 63) / 64 * 64;
    memory_.reset(static_cast<uint8_t*>(std::aligned_alloc(64, size)));
    REQUIRE(memory_ != nullptr);
    std::memset(memory_.get(), kGarbage, size);
  }
  uint8_t* data() { return memory_.get() + kGuardBytes; }
  size_t bytes() const { return bytes_; }
  void fill() { std::memset(data(), kGarbage, bytes_); }
  bool guards_intact() const {
    const auto intact = [](uint8_t byte) { return byte == kGarbage; };
    const uint8_t* end = memory_.get() + kGuardBytes + bytes_;
    return std::all_of(memory_.get(), memory_.get() + kGuardBytes, intact) &&
           std::all_of(end, end + kGuardBytes, intact);
  }

 private:
  struct Free {
    void operator()(uint8_t* p) const { std::free(p); }
  };
  std::unique_ptr<uint8_t, Free> memory_;
  size_t bytes_;
};

ThreadPool& pool_of(int threads) {
  static std::map<int, std::unique_ptr<ThreadPool>> pools;
  std::unique_ptr<ThreadPool>& pool = pools[threads];
  if (!pool) pool = std::make_unique<ThreadPool>(threads);
  return *pool;
}

// Memory and arguments of one call.
struct Bound {
  std::vector<Buffer> memory;  // of inputs, then of outputs
  std::vector<Tensor> inputs, outputs;
  KernelArgs args;

  Bound(const Call& call, DType dtype, int threads) {
    memory.reserve(call.inputs.size() + 2);
    for (const Operand& operand : call.inputs) {
      Tensor t;
      if (!operand.absent()) {
        t.shape = operand.shape;
        t.dtype = dtype;
        t.frozen = operand.frozen;
        t.data = memory.emplace_back(t.bytes()).data();
        for (size_t i = 0; i < operand.elements.size(); ++i) {
          if (dtype == DType::f32)
            t.as<float>()[i] = static_cast<float>(operand.elements[i]);
          else
            t.as<double>()[i] = operand.elements[i];
        }
      }
      inputs.push_back(t);
    }
    for (int i = 0; i < (call.mask ? 2 : 1); ++i) {
      Tensor t;
      t.shape = call.output;
      t.dtype = i == 0 ? dtype : DType::mask;
      t.data = memory.emplace_back(t.bytes()).data();
      outputs.push_back(t);
    }
    args.inputs = inputs.data();
    args.num_inputs = static_cast<int>(inputs.size());
    args.outputs = outputs.data();
    args.num_outputs = static_cast<int>(outputs.size());
    args.attrs = call.attrs.get();
    args.pool = &pool_of(threads);
  }
};

std::vector<uint8_t> contents(const Tensor& t) {
  if (!t) return {};
  return {t.as<uint8_t>(), t.as<uint8_t>() + t.bytes()};
}

}  // namespace

Operand random_operand(Shape shape, int seed, bool frozen) {
  std::mt19937 engine(static_cast<unsigned>(seed));
  Operand operand{shape, std::vector<double>(static_cast<size_t>(shape.elements())), frozen};
  for (double& e : operand.elements) e = static_cast<float>(engine() / 2147483648.0 - 1);
  return operand;
}

bool Result::operator==(const Result& other) const {
  const auto same = [](const auto& a, const auto& b) {
    return a.size() == b.size() &&
           (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0);
  };
  return dtype == other.dtype && same(f32, other.f32) && same(f64, other.f64) &&
         same(mask, other.mask);
}

bool supports(Backend backend, const Call& call, DType dtype) {
  const Kernel* kernel = find_kernel(backend, call.op, dtype);
  if (!kernel) return false;
  const Bound bound(call, dtype, 1);
  return !kernel->supports || kernel->supports(bound.args);
}

Result run(Backend backend, const Call& call, DType dtype, int threads) {
  INFO(call.name, ", ", std::string(op_name(call.op)), " by ", std::string(backend_name(backend)),
       ", ", threads, " threads");
  const Kernel* kernel = find_kernel(backend, call.op, dtype);
  REQUIRE(kernel != nullptr);
  Bound bound(call, dtype, threads);
  REQUIRE((!kernel->supports || kernel->supports(bound.args)));
  Buffer workspace(kernel->workspace_bytes ? kernel->workspace_bytes(bound.args, threads) : 0);
  bound.args.workspace = workspace.data();
  Result result;
  if (kernel->prepare) {
    bound.args.prepared = kernel->prepare(bound.args, &result.held_bytes);
    REQUIRE(bound.args.prepared != nullptr);
  }

  std::vector<std::vector<uint8_t>> inputs_before, first_outputs;
  for (const Tensor& t : bound.inputs) inputs_before.push_back(contents(t));
  for (int round = 0; round < 2; ++round) {
    for (size_t i = 0; i < bound.outputs.size(); ++i)
      std::memset(bound.outputs[i].data, kGarbage, bound.outputs[i].bytes());
    workspace.fill();
    const size_t before = allocation_count();
    kernel->run(bound.args);
    const size_t after = allocation_count();
    CHECK(after == before);
    for (size_t i = 0; i < bound.outputs.size(); ++i) {
      if (round == 0)
        first_outputs.push_back(contents(bound.outputs[i]));
      else
        CHECK(contents(bound.outputs[i]) == first_outputs[i]);
    }
  }
  for (size_t i = 0; i < bound.inputs.size(); ++i)
    CHECK(contents(bound.inputs[i]) == inputs_before[i]);
  for (const Buffer& buffer : bound.memory) CHECK(buffer.guards_intact());
  CHECK(workspace.guards_intact());
  if (kernel->release) kernel->release(bound.args.prepared);

  const Tensor& y = bound.outputs[0];
  const int64_t n = y.shape.elements();
  result.dtype = dtype;
  if (dtype == DType::f32)
    result.f32.assign(y.as<float>(), y.as<float>() + n);
  else
    result.f64.assign(y.as<double>(), y.as<double>() + n);
  if (call.mask) result.mask = contents(bound.outputs[1]);
  return result;
}

double norm_error(const Result& a, const Result& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a.at(i) - b.at(i)) * (a.at(i) - b.at(i));
    norm += b.at(i) * b.at(i);
  }
  const double error = norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
  return std::isnan(error) ? INFINITY : error;
}

void check_mask(const Result& result, double min, double max) {
  REQUIRE(result.mask.size() == (result.size() + 7) / 8);
  std::vector<uint8_t> expected(result.mask.size());
  for (size_t i = 0; i < result.size(); ++i)
    if (result.at(i) > min && result.at(i) < max) expected[i / 8] |= uint8_t(1 << (i % 8));
  CHECK(result.mask == expected);
}

}  // namespace attune::test
