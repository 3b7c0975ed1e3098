#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attune/dtype.h"
#include "attune/shape.h"
#include "attune/status.h"

namespace attune {

// Element types of .npy files that can be read.
enum class NpyType : uint8_t { boolean, i8, i16, i32, i64, u8, u16, u32, u64, f16, f32, f64 };

inline constexpr size_t kMaxNpyRank = 32;

size_t npy_type_bytes(NpyType type);
const char* npy_type_name(NpyType type);

// A NumPy array: its elements little-endian in C order.
struct NpyArray {
  NpyType type = NpyType::f32;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;
  int64_t elements() const;
};

// Parses a .npy file (format 1, 2 or 3; C or Fortran order; little-endian). `where` is for
// messages.
Status parse_npy(std::string_view where, std::span<const std::byte> file, NpyArray* array);

// "[2,3]"
std::string dims_text(std::span<const int64_t> dims);
std::string dims_text(const Shape& shape);
std::string batch_text(const Shape& example);  // "[n,2,3]"
bool same_dims(std::span<const int64_t> dims, const Shape& shape);

// Converts elements first .. first + count - 1 to `to`. NaN, Inf and what `to` cannot hold (a
// fraction in an integer, a number outside its range) are errors that name the value and `where`.
Status convert_elements(std::string_view where, const NpyArray& array, int64_t first, int64_t count,
                        DType to, std::span<std::byte> out);

}  // namespace attune
