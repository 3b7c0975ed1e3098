#pragma once

#include <cstddef>
#include <cstdint>

namespace attune {

// Element types of tensors. Ids are part of the plan format: append only.
// `mask` packs one bit an element, element i being bit (i % 8) of byte (i / 8).
enum class DType : uint8_t { f32 = 0, f64 = 1, i32 = 2, u8 = 3, mask = 4 };

inline constexpr int kDTypeCount = 5;

// Bytes that `elements` elements of `dtype` take.
constexpr size_t dtype_bytes(DType dtype, size_t elements) {
  switch (dtype) {
    case DType::f32:
      return elements * 4;
    case DType::f64:
      return elements * 8;
    case DType::i32:
      return elements * 4;
    case DType::u8:
      return elements;
    case DType::mask:
      return (elements + 7) / 8;
  }
  return 0;
}

constexpr const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::i32:
      return "i32";
    case DType::u8:
      return "u8";
    case DType::mask:
      return "mask";
  }
  return "?";
}

constexpr bool is_real(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }

}  // namespace attune
