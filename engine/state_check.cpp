#include "engine/state_check.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "engine/format/checkpoint_format.h"

namespace attune {
namespace {

using namespace checkpoint;

// The largest exponent says whether all numbers are finite, and compilers find it many at a time.
template <class Bits>
bool is_finite(const std::byte* from, int64_t stride, int64_t count, Bits exponent) {
  Bits largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, from + static_cast<size_t>(i * stride) * sizeof(Bits), sizeof(bits));
    largest = std::max<Bits>(largest, bits & exponent);
  }
  return largest < exponent;
}

bool is_finite(const TensorInfo& tensor, std::span<const std::byte> state) {
  const std::byte* const values = state.data() + tensor.state_offset;
  return for_each_run(tensor, [&](int64_t first, int64_t stride, int64_t count) {
    const std::byte* from = values + static_cast<size_t>(first) * tensor.element_bytes;
    if (tensor.header.dtype == static_cast<uint32_t>(DType::f32))
      return is_finite<uint32_t>(from, stride, count, 0x7f800000u);
    if (tensor.header.dtype == static_cast<uint32_t>(DType::f64))
      return is_finite<uint64_t>(from, stride, count, 0x7ff0000000000000u);
    return true;
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
