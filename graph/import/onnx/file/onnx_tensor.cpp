#include "graph/import/onnx/file/onnx_tensor.h"

#include <onnx/onnx_pb.h>

#include <cstring>
#include <type_traits>

#include "graph/import/common/element_type.h"
#include "graph/import/common/known_math.h"
#include "graph/import/onnx/file/onnx_metadata.h"
#include "graph/ir/error.h"

namespace attune {
namespace {

// The typed field that holds elements of type T where they are not raw.
template <class T>
const auto& field_of(const onnx::TensorProto& proto) {
  if constexpr (std::is_same_v<T, float>)
    return proto.float_data();
  else if constexpr (std::is_same_v<T, double>)
    return proto.double_data();
  else if constexpr (std::is_same_v<T, int64_t>)
    return proto.int64_data();
  else if constexpr (std::is_same_v<T, uint32_t>)
    return proto.uint64_data();
  else
    return proto.int32_data();
}

template <class T>
DataPtr read_reals(const onnx::TensorProto& proto, size_t elements,
                   const std::shared_ptr<const void>& owner) {
  constexpr Data::Type type = sizeof(T) == 2   ? Data::Type::f16
                              : sizeof(T) == 4 ? Data::Type::f32
                                               : Data::Type::f64;
  const void* bytes = field_of<T>(proto).data();
  if (proto.has_raw_data()) {
    bytes = proto.raw_data().data();
  } else if (type == Data::Type::f16) {
    const std::vector<uint16_t> bits(proto.int32_data().begin(), proto.int32_data().end());
    return Data::copy(type, bits.data(), elements);
  }
  return owner ? Data::view(type, bytes, elements, owner) : Data::copy(type, bytes, elements);
}

// Raw or of the typed field, whose low bits count where T is narrower.
template <class T>
DataPtr read_integers(const onnx::TensorProto& proto, size_t elements) {
  std::vector<int64_t> ints(elements);
  for (size_t i = 0; i < elements; ++i) {
    std::conditional_t<std::is_same_v<T, bool>, uint8_t, T> bits{};
    if (proto.has_raw_data())
      std::memcpy(&bits, proto.raw_data().data() + i * sizeof(T), sizeof(T));
    else
      bits = static_cast<decltype(bits)>(field_of<T>(proto).Get(static_cast<int>(i)));
    ints[i] = static_cast<T>(bits);
  }
  return Data::of_ints(std::move(ints));
}

}  // namespace

KnownTensor read_tensor(const onnx::TensorProto& proto, const std::string& where,
                        const std::shared_ptr<const void>& owner) {
  const auto type = element_type(proto.data_type());
  if (!type) throw_error("{}: {}", where, unsupported_type(proto.data_type()));
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
  const auto held = static_cast<size_t>(
      with_element(*type, [&](auto element) { return field_of<decltype(element)>(proto).size(); }));
  if (!proto.has_raw_data() && held != elements)
    throw_error("{}: it has {} elements, where shape {} needs {}", where, held,
                dims_text(tensor.dims), elements);
  tensor.data = with_element(*type, [&](auto element) {
    using T = decltype(element);
    if constexpr (std::is_integral_v<T>)
      return read_integers<T>(proto, elements);
    else
      return read_reals<T>(proto, elements, owner);
  });
  return tensor;
}

std::string unsupported_type(int32_t type) {
  std::string text = fmt::format("element type {} is not supported", type);
  if (onnx::TensorProto::DataType_IsValid(type))
    text += ": it is " +
            onnx::TensorProto::DataType_Name(static_cast<onnx::TensorProto::DataType>(type));
  return text + "; export the model in float32";
}

const onnx::TensorProto* find_tensor(const onnx::GraphProto& graph, const std::string& name) {
  for (const auto& tensor : graph.initializer())
    if (tensor.name() == name) return &tensor;
  for (const auto& node : graph.node())
    if (node.op_type() == "Constant" && node.output_size() == 1 && node.output(0) == name)
      for (const auto& attribute : node.attribute())
        if (attribute.name() == "value" && attribute.has_t()) return &attribute.t();
  return nullptr;
}

const onnx::NodeProto* find_dequantized(const onnx::GraphProto& graph, const std::string& name) {
  for (const auto& node : graph.node())
    if (node.op_type() == "DequantizeLinear" && node.output_size() == 1 && node.output(0) == name)
      return &node;
  return nullptr;
}

KnownTensor read_dequantized(const onnx::GraphProto& graph, const onnx::NodeProto& node,
                             const std::string& where) {
  const auto operand = [&](int i) {
    const auto* tensor = find_tensor(graph, node.input(i));
    if (!tensor) throw_error("{}: '{}' is not in the file", where, node.input(i));
    return read_tensor(*tensor, where);
  };
  const auto integer = [&](const char* name, int64_t otherwise) {
    for (const auto& attribute : node.attribute())
      if (attribute.name() == name) return attribute.i();
    return otherwise;
  };
  const bool shifted = node.input_size() > 2 && !node.input(2).empty();
  const KnownTensor zero_point = shifted ? operand(2) : KnownTensor();
  return dequantize(operand(0), operand(1), shifted ? &zero_point : nullptr, integer("axis", 1),
                    integer("block_size", 0));
}

std::unordered_map<std::string, Mark> read_marks(const onnx::GraphProto& graph) {
  std::unordered_map<std::string, Mark> marks;
  const auto read = [&](const onnx::ValueInfoProto& info) {
    for (const auto& property : metadata_of(info)) {
      if (property.key() != "pkg.torch.export.graph_signature.InputSpec.kind") continue;
      if (property.value() == "PARAMETER") marks[info.name()] = Mark::parameter;
      if (property.value() == "BUFFER" || property.value() == "CONSTANT_TENSOR")
        marks[info.name()] = Mark::buffer;
    }
  };
  for (const auto& info : graph.value_info()) read(info);
  for (const auto& info : graph.input()) read(info);
  return marks;
}

}  // namespace attune
