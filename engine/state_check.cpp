#include "engine/state_check.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "engine/format/checkpoint_format.h"

namespace attune {
namespace {

using namespace checkpoint;

// The largest exponent says whether all numbers are finite, without a branch for each.
template <class Bits>
bool is_finite(const std::byte* from, size_t stride, int64_t count, Bits exponent) {
  Bits largest = 0;
  for (int64_t i = 0; i < count; ++i, from += stride) {
    Bits bits;
    std::memcpy(&bits, from, sizeof(bits));
    largest = std::max<Bits>(largest, bits & exponent);
  }
  return largest < exponent;
}

bool is_finite(const TensorInfo& tensor, std::span<const std::byte> state) {
  return for_each_trained_run(
      tensor, state.data(), [&](const std::byte* from, size_t stride, int64_t count) {
        const bool twice = tensor.dtype == DType::f64;
        if (stride == sizeof(float) && !twice)  // a constant that loops of many elements need
          return is_finite<uint32_t>(from, sizeof(float), count, 0x7f800000u);
        return twice ? is_finite<uint64_t>(from, stride, count, 0x7ff0000000000000u)
                     : is_finite<uint32_t>(from, stride, count, 0x7f800000u);
      });
}

}  // namespace

Status check_finite(const format::Plan& plan, std::span<const std::byte> state) {
  if (!plan.parameters()) return Status::ok();
  for (const format::Parameter* parameter : *plan.parameters())
    for (int i = 0; i < tensors_of(*parameter); ++i)
      if (const TensorInfo tensor = describe_tensor(*parameter, i); !is_finite(tensor, state))
        return Status::error(
            "the trained parameter '%.*s' (its %.*s) is not finite",
            static_cast<int>(std::min<size_t>(tensor.name.size(), 120)), tensor.name.data(),
            static_cast<int>(std::min<size_t>(tensor.slot.size(), 40)), tensor.slot.data());
  return Status::ok();
}

}  // namespace attune
