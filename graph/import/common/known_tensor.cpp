#include "graph/import/common/known_tensor.h"

#include <onnx/onnx_pb.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "graph/ir/error.h"

namespace attune {
namespace {

double half_to_double(uint16_t half) {
  const double sign = half & 0x8000 ? -1 : 1;
  const int exponent = (half >> 10) & 31, fraction = half & 1023;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  if (exponent == 31)
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

template <class T, class Out, class Convert>
void read_raw(const std::string& raw, std::vector<Out>* out, Convert convert) {
  for (size_t i = 0; i < out->size(); ++i) {
    T value;
    std::memcpy(&value, raw.data() + i * sizeof(T), sizeof(T));
    (*out)[i] = convert(value);
  }
}

// The typed field, where the data is not raw. Each element of a field is one of the tensor.
template <class Field, class Out, class Convert>
void read_field(const Field& field, std::vector<Out>* out, const std::string& where,
                Convert convert) {
  if (static_cast<size_t>(field.size()) != out->size())
    throw_error("{}: it has {} elements, where its shape needs {}", where, field.size(),
                out->size());
  for (size_t i = 0; i < out->size(); ++i) (*out)[i] = convert(field.Get(static_cast<int>(i)));
}

template <class T, class Out, class Field>
void read_elements(const onnx::TensorProto& proto, const Field& field, std::vector<Out>* out,
                   const std::string& where) {
  // int32_data holds narrower types, of which only the low bits count.
  const auto convert = [](auto v) { return static_cast<Out>(static_cast<T>(v)); };
  if (!proto.has_raw_data()) return read_field(field, out, where, convert);
  read_raw<T>(proto.raw_data(), out, convert);
}

size_t element_bytes(ElementType type) {
  switch (type) {
    case ElementType::u8:
    case ElementType::i8:
    case ElementType::boolean:
      return 1;
    case ElementType::u16:
    case ElementType::i16:
    case ElementType::f16:
      return 2;
    case ElementType::f32:
    case ElementType::i32:
    case ElementType::u32:
      return 4;
    case ElementType::i64:
    case ElementType::f64:
      return 8;
  }
  return 0;
}

}  // namespace

std::optional<ElementType> element_type(int32_t onnx_number) {
  const auto type = static_cast<ElementType>(onnx_number);
  if (element_bytes(type) == 0) return std::nullopt;
  return type;
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

KnownTensor read_tensor(const onnx::TensorProto& proto, const std::string& where) {
  const auto type = element_type(proto.data_type());
  if (!type) throw_error("{}: element type {} is not supported", where, proto.data_type());
  if (proto.has_segment()) throw_error("{}: a tensor in segments is not supported", where);
  KnownTensor tensor;
  tensor.type = *type;
  tensor.dims.assign(proto.dims().begin(), proto.dims().end());
  int64_t n = 0;
  try {
    n = count_elements(tensor.dims);
  } catch (const Error& error) {
    throw_error("{}: {}", where, error.what());
  }
  if (proto.data_location() == onnx::TensorProto::EXTERNAL)
    throw_error("{}: its external data was not read", where);
  const size_t elements = static_cast<size_t>(n);
  if (proto.has_raw_data() && proto.raw_data().size() != elements * element_bytes(*type))
    throw_error("{}: it has {} bytes, where shape {} needs {}", where, proto.raw_data().size(),
                dims_text(tensor.dims), elements * element_bytes(*type));
  // Nothing is allocated before the file is known to hold as much.
  const size_t held = static_cast<size_t>(proto.float_data_size()) + proto.int32_data_size() +
                      proto.int64_data_size() + proto.double_data_size() + proto.uint64_data_size();
  if (!proto.has_raw_data() && held != elements)
    throw_error("{}: it has {} elements, where shape {} needs {}", where, held,
                dims_text(tensor.dims), elements);
  auto& reals = tensor.data.reals;
  auto& ints = tensor.data.ints;
  if (is_real(*type))
    reals.resize(elements);
  else
    ints.resize(elements);
  switch (*type) {
    case ElementType::f32:
      read_elements<float>(proto, proto.float_data(), &reals, where);
      break;
    case ElementType::f64:
      read_elements<double>(proto, proto.double_data(), &reals, where);
      break;
    case ElementType::f16: {
      const auto convert = [](auto v) { return half_to_double(static_cast<uint16_t>(v)); };
      if (proto.has_raw_data())
        read_raw<uint16_t>(proto.raw_data(), &reals, convert);
      else
        read_field(proto.int32_data(), &reals, where, convert);
      break;
    }
    case ElementType::i64:
      read_elements<int64_t>(proto, proto.int64_data(), &ints, where);
      break;
    case ElementType::i32:
      read_elements<int32_t>(proto, proto.int32_data(), &ints, where);
      break;
    case ElementType::u32:
      read_elements<uint32_t>(proto, proto.uint64_data(), &ints, where);
      break;
    case ElementType::i16:
      read_elements<int16_t>(proto, proto.int32_data(), &ints, where);
      break;
    case ElementType::u16:
      read_elements<uint16_t>(proto, proto.int32_data(), &ints, where);
      break;
    case ElementType::i8:
      read_elements<int8_t>(proto, proto.int32_data(), &ints, where);
      break;
    case ElementType::u8:
      read_elements<uint8_t>(proto, proto.int32_data(), &ints, where);
      break;
    case ElementType::boolean:
      read_elements<uint8_t>(proto, proto.int32_data(), &ints, where);
      for (int64_t& v : ints) v = v != 0;
      break;
  }
  return tensor;
}

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
  return tensor.real() ? tensor.data.reals[0] : static_cast<double>(tensor.data.ints[0]);
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

Dims to_dims(const Shape& shape) { return Dims(shape.dims, shape.dims + shape.rank); }

std::string dims_text(const Dims& dims) { return fmt::format("[{}]", fmt::join(dims, ",")); }

}  // namespace attune
