#include "graph/import/onnx/onnx_tensor.h"

#include <onnx/onnx_pb.h>

#include <cstring>

#include "graph/ir/error.h"

namespace attune {
namespace {

DataPtr held(Data::Type type, const void* bytes, size_t elements,
             const std::shared_ptr<const void>& owner) {
  return owner ? Data::view(type, bytes, elements, owner) : Data::copy(type, bytes, elements);
}

// Integers as T, raw or of the typed field, whose low bits count where T is narrower.
template <class T, class Field>
DataPtr integers(const onnx::TensorProto& proto, const Field& field, size_t elements) {
  std::vector<int64_t> ints(elements);
  for (size_t i = 0; i < elements; ++i) {
    T value{};
    if (proto.has_raw_data())
      std::memcpy(&value, proto.raw_data().data() + i * sizeof(T), sizeof(T));
    else
      value = static_cast<T>(field.Get(static_cast<int>(i)));
    ints[i] = static_cast<int64_t>(value);
    if (proto.data_type() == onnx::TensorProto::BOOL) ints[i] = ints[i] != 0;
  }
  return Data::of_ints(std::move(ints));
}

// The typed field that holds elements of a type, where they are not raw: f's argument.
template <class F>
auto with_field(const onnx::TensorProto& proto, ElementType type, F&& f) {
  switch (type) {
    case ElementType::f32:
      return f(proto.float_data());
    case ElementType::f64:
      return f(proto.double_data());
    case ElementType::i64:
      return f(proto.int64_data());
    case ElementType::u32:
      return f(proto.uint64_data());
    default:
      return f(proto.int32_data());
  }
}

DataPtr read_elements(const onnx::TensorProto& proto, ElementType type, size_t elements,
                      const std::shared_ptr<const void>& owner) {
  const bool raw = proto.has_raw_data();
  switch (type) {
    case ElementType::f32:
      return held(
          Data::Type::f32,
          raw ? static_cast<const void*>(proto.raw_data().data()) : proto.float_data().data(),
          elements, owner);
    case ElementType::f64:
      return held(
          Data::Type::f64,
          raw ? static_cast<const void*>(proto.raw_data().data()) : proto.double_data().data(),
          elements, owner);
    case ElementType::f16: {
      if (raw) return held(Data::Type::f16, proto.raw_data().data(), elements, owner);
      const std::vector<uint16_t> bits(proto.int32_data().begin(), proto.int32_data().end());
      return Data::copy(Data::Type::f16, bits.data(), elements);
    }
    case ElementType::i64:
      return integers<int64_t>(proto, proto.int64_data(), elements);
    case ElementType::i32:
      return integers<int32_t>(proto, proto.int32_data(), elements);
    case ElementType::u32:
      return integers<uint32_t>(proto, proto.uint64_data(), elements);
    case ElementType::i16:
      return integers<int16_t>(proto, proto.int32_data(), elements);
    case ElementType::u16:
      return integers<uint16_t>(proto, proto.int32_data(), elements);
    case ElementType::i8:
      return integers<int8_t>(proto, proto.int32_data(), elements);
    case ElementType::u8:
    case ElementType::boolean:
      return integers<uint8_t>(proto, proto.int32_data(), elements);
  }
  return nullptr;
}

}  // namespace

KnownTensor read_tensor(const onnx::TensorProto& proto, const std::string& where,
                        const std::shared_ptr<const void>& owner) {
  const auto type = element_type(proto.data_type());
  if (!type) throw_error("{}: element type {} is not supported", where, proto.data_type());
  if (proto.has_segment()) throw_error("{}: a tensor in segments is not supported", where);
  KnownTensor tensor;
  tensor.type = *type;
  tensor.dims.assign(proto.dims().begin(), proto.dims().end());
  size_t elements = 0;
  try {
    elements = static_cast<size_t>(count_elements(tensor.dims));
  } catch (const Error& error) {
    throw_error("{}: {}", where, error.what());
  }
  if (proto.data_location() == onnx::TensorProto::EXTERNAL)
    throw_error("{}: its external data was not read", where);
  if (proto.has_raw_data() && proto.raw_data().size() != elements * element_bytes(*type))
    throw_error("{}: it has {} bytes, where shape {} needs {}", where, proto.raw_data().size(),
                dims_text(tensor.dims), elements * element_bytes(*type));
  // Nothing is allocated before the file is known to hold as much.
  const auto held =
      static_cast<size_t>(with_field(proto, *type, [](const auto& field) { return field.size(); }));
  if (!proto.has_raw_data() && held != elements)
    throw_error("{}: it has {} elements, where shape {} needs {}", where, held,
                dims_text(tensor.dims), elements);
  tensor.data = read_elements(proto, *type, elements, owner);
  return tensor;
}

}  // namespace attune
