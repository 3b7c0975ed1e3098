#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/io/file.h"
#include "engine/io/npy.h"

namespace attune {
namespace {

struct Half {
  uint16_t bits;
};

double to_double(Half half) {
  const int exponent = half.bits >> 10 & 0x1f;
  const int fraction = half.bits & 0x3ff;
  double magnitude;
  if (exponent == 0x1f)
    magnitude = fraction == 0 ? std::numeric_limits<double>::infinity()
                              : std::numeric_limits<double>::quiet_NaN();
  else if (exponent == 0)
    magnitude = std::ldexp(fraction, -24);
  else
    magnitude = std::ldexp(1024 + fraction, exponent - 25);
  return half.bits & 0x8000 ? -magnitude : magnitude;
}

template <class T>
double to_double(T value) {
  return static_cast<double>(value);
}

// Why `value` is no To; null where it is one.
template <class To>
const char* problem_with(double value) {
  if (std::isnan(value)) return "is NaN";
  if (std::isinf(value)) return "is infinite";
  if constexpr (std::is_integral_v<To>) {
    if (value != std::floor(value)) return "is no whole number";
    if (value < std::numeric_limits<To>::min() || value > std::numeric_limits<To>::max())
      return "is outside its range";
  } else {
    if (!std::isfinite(static_cast<To>(value))) return "is outside its range";
  }
  return nullptr;
}

template <class From, class To>
Status convert(std::string_view where, const std::byte* in, int64_t count, DType to,
               std::byte* out) {
  for (int64_t i = 0; i < count; ++i) {
    From element;
    std::memcpy(&element, in + i * static_cast<int64_t>(sizeof(From)), sizeof(From));
    const double value = to_double(element);
    if (const char* problem = problem_with<To>(value))
      return file_error(
          where,
          "element %lld (%.15g) %s, the model takes finite numbers of type %s; correct "
          "the data",
          static_cast<long long>(i), value, problem, dtype_name(to));
    const To converted = static_cast<To>(value);
    std::memcpy(out + i * static_cast<int64_t>(sizeof(To)), &converted, sizeof(To));
  }
  return Status::ok();
}

template <class From>
Status convert_from(std::string_view where, const std::byte* in, int64_t count, DType to,
                    std::byte* out) {
  switch (to) {
    case DType::f32:
      return convert<From, float>(where, in, count, to, out);
    case DType::f64:
      return convert<From, double>(where, in, count, to, out);
    case DType::i32:
      return convert<From, int32_t>(where, in, count, to, out);
    case DType::u8:
      return convert<From, uint8_t>(where, in, count, to, out);
    case DType::mask:
      break;
  }
  return file_error(where, "the model takes masks, which no file holds; use another model input");
}

}  // namespace

Status convert_elements(std::string_view where, const NpyArray& array, int64_t first, int64_t count,
                        DType to, std::span<std::byte> out) {
  assert(first >= 0 && count >= 0 && first + count <= array.elements());
  assert(to == DType::mask || out.size() == dtype_bytes(to, static_cast<size_t>(count)));
  const std::byte* in =
      array.bytes.data() + static_cast<size_t>(first) * npy_type_bytes(array.type);
  constexpr decltype(&convert_from<float>) kConverters[] = {
      // in the order of NpyType
      convert_from<uint8_t>,  convert_from<int8_t>,  convert_from<int16_t>,  convert_from<int32_t>,
      convert_from<int64_t>,  convert_from<uint8_t>, convert_from<uint16_t>, convert_from<uint32_t>,
      convert_from<uint64_t>, convert_from<Half>,    convert_from<float>,    convert_from<double>};
  return kConverters[static_cast<size_t>(array.type)](where, in, count, to, out.data());
}

}  // namespace attune
