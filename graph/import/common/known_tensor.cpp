#include "graph/import/common/known_tensor.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "graph/import/common/element_type.h"
#include "graph/ir/error.h"

namespace attune {

size_t element_bytes(ElementType type) {
  return with_element(type, [](auto element) { return sizeof(element); });
}

std::optional<ElementType> element_type(int32_t onnx_number) {
  switch (onnx_number) {
#define ELEMENT(name, number, Type) case number:
#include "graph/import/common/element_types.def"
#undef ELEMENT
    return static_cast<ElementType>(onnx_number);
  }
  return std::nullopt;
}

bool is_real(ElementType type) {
  return type == ElementType::f32 || type == ElementType::f64 || type == ElementType::f16;
}

int64_t count_elements(const Dims& dims) {
  int64_t n = 1;
  for (int64_t d : dims) {
    if (d < 0) throw_error("negative size in {}", dims_text(dims));
    if (__builtin_mul_overflow(n, d, &n) || n > (int64_t{1} << 40))
      throw_error("{} is too large", dims_text(dims));
  }
  return n;
}

int64_t KnownTensor::elements() const { return count_elements(dims); }

double shortest_decimal(float value) {
  if (!std::isfinite(value)) return value;
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  double result = 0;
  std::from_chars(text, end, result);
  return result;
}

double scalar(const KnownTensor& tensor) {
  if (tensor.elements() != 1)
    throw_error("one number is wanted, not a tensor of shape {}", dims_text(tensor.dims));
  double value = 0;
  tensor.data->read(0, std::span(&value, 1));
  return value;
}

Shape to_shape(const Dims& dims) {
  if (dims.size() > kMaxRank)
    throw_error("shape {} has {} axes, where at most {} are supported", dims_text(dims),
                dims.size(), kMaxRank);
  if (count_elements(dims) > std::numeric_limits<int32_t>::max())
    throw_error("shape {} has 2^31 elements or more", dims_text(dims));
  Shape shape;
  for (int64_t d : dims) {
    if (d == 0) throw_error("shape {} is empty", dims_text(dims));
    shape.dims[shape.rank++] = static_cast<int32_t>(d);
  }
  return shape;
}

std::string dims_text(const Dims& dims) { return fmt::format("[{}]", fmt::join(dims, ",")); }

}  // namespace attune
