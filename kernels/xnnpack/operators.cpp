#include "kernels/xnnpack/operators.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "attune/thread_pool.h"
#include "kernels/clamp_mask.h"

namespace attune::xnnpack {
namespace {

thread_local size_t allocated = 0;

void* allocate(void*, size_t size) {
  allocated += heap_bytes(size);
  return std::malloc(size);
}
void* reallocate(void*, void* pointer, size_t size) {
  allocated += heap_bytes(size);
  return std::realloc(pointer, size);
}
void deallocate(void*, void* pointer) { std::free(pointer); }
void* aligned_allocate(void*, size_t alignment, size_t size) {
  const size_t whole = (size + alignment - 1) / alignment * alignment;
  allocated += heap_bytes(whole + alignment);
  return std::aligned_alloc(alignment, whole);
}

}  // namespace

namespace internal {

bool initialize() {
  static const xnn_allocator allocator{nullptr,    allocate,         reallocate,
                                       deallocate, aligned_allocate, deallocate};
  return xnn_initialize(&allocator) == xnn_status_success;
}

size_t allocated_bytes() { return allocated; }

}  // namespace internal

void release(void* prepared) {
  if (!prepared) return;
  auto* p = static_cast<Prepared*>(prepared);
  if (p->op) xnn_delete_operator(p->op);
  delete p;
}

void run(const KernelArgs& args) {
  // Can only fail for operators that were not set up, which `prepare` does not return.
  (void)xnn_run_operator(static_cast<const Prepared*>(args.prepared)->op, args.pool->native());
}

bool bias_is_trained(const KernelArgs& args) {
  const Tensor bias = args.input(2);
  return bias && !bias.frozen;
}

FusedOutput fused_output(const KernelArgs& args, double clamp_min, double clamp_max) {
  if (bias_is_trained(args))
    return {nullptr, -std::numeric_limits<float>::infinity(),
            std::numeric_limits<float>::infinity()};
  return {args.input(2).as<float>(), static_cast<float>(clamp_min), static_cast<float>(clamp_max)};
}

bool clamp_is_valid(double clamp_min, double clamp_max) {
  return static_cast<float>(clamp_min) < static_cast<float>(clamp_max);
}

void run_with_output(const KernelArgs& args, double clamp_min, double clamp_max) {
  run(args);
  if (static_cast<const Prepared*>(args.prepared)->bias_after) {
    const Tensor y = args.output(0);
    const float* bias = args.input(2).as<float>();
    const float min = static_cast<float>(clamp_min), max = static_cast<float>(clamp_max);
    const int64_t channels = y.shape.last(), rows = y.shape.elements() / channels;
    args.pool->parallel_for(rows, std::max<int64_t>(1, 4096 / channels),
                            [&](int64_t begin, int64_t end) {
                              for (int64_t row = begin; row < end; ++row) {
                                float* to = y.as<float>() + row * channels;
                                for (int64_t c = 0; c < channels; ++c)
                                  to[c] = std::min(std::max(to[c] + bias[c], min), max);
                              }
                            });
  }
  write_clamp_mask<float>(args, clamp_min, clamp_max);
}

}  // namespace attune::xnnpack
