#include <cstring>

#include "graph/import/common/element_type.h"
#include "graph/import/tflite/tflite_file.h"
#include "graph/ir/error.h"

namespace attune {
namespace {

std::vector<int64_t> read_integers(ElementType type, std::string_view bytes, size_t elements) {
  std::vector<int64_t> ints(elements);
  with_element(type, [&](auto element) {
    using T = decltype(element);
    if constexpr (std::is_same_v<T, bool>) {
      for (size_t i = 0; i < elements; ++i) ints[i] = bytes[i] != 0;
    } else if constexpr (std::is_integral_v<T>) {
      for (size_t i = 0; i < elements; ++i) {
        std::memcpy(&element, bytes.data() + i * sizeof(T), sizeof(T));
        ints[i] = static_cast<int64_t>(element);
      }
    }
  });
  return ints;
}

// A scale for all, or one for each place of an axis.
std::vector<double> dequantized(const tflite::Quantization& q, const Dims& dims,
                                const std::vector<int64_t>& elements, const std::string& name) {
  const std::vector<int64_t> zero_points = zero_points_of(q);
  const size_t scales = q.scale()->size(), zeros = zero_points.size();
  size_t run = std::max<size_t>(elements.size(), 1);
  if (scales > 1) {
    const int64_t axis = q.quantized_dimension();
    if (axis < 0 || axis >= std::ssize(dims) || dims[axis] != static_cast<int64_t>(scales))
      throw_error("tensor '{}' of shape {} has {} scales along axis {}", name, dims_text(dims),
                  scales, axis);
    run = static_cast<size_t>(count_elements(Dims(dims.begin() + axis + 1, dims.end())));
  }
  if (zeros > 1 && zeros != scales)
    throw_error("tensor '{}' has {} zero points and {} scales", name, zeros, scales);
  std::vector<double> reals(elements.size());
  for (size_t i = 0; i < reals.size(); ++i) {
    const auto place = static_cast<uint32_t>(i / run % scales);
    const int64_t zero = zeros == 0 ? 0 : zero_points[zeros == 1 ? 0 : place];
    // As the interpreter would have it in floats.
    reals[i] = static_cast<float>((static_cast<double>(elements[i]) - static_cast<double>(zero)) *
                                  q.scale()->Get(place));
  }
  return reals;
}

}  // namespace

KnownTensor read_constant(const std::shared_ptr<const TfliteFile>& file, uint32_t index) {
  const tflite::Tensor& tensor = file->tensor(index);
  const std::string name = name_of(tensor);
  if (tensor.sparsity() != nullptr)
    throw_error("tensor '{}' is sparse; convert the model without sparsity", name);
  KnownTensor known;
  known.type = computed_type(tensor);
  known.dims = dims_of(tensor);
  const std::string_view bytes = file->contents(tensor);
  const auto elements = static_cast<size_t>(count_elements(known.dims));
  const ElementType stored = stored_type(tensor);
  if (bytes.size() != elements * element_bytes(stored))
    throw_error("tensor '{}' has {} bytes, where shape {} needs {}", name, bytes.size(),
                dims_text(known.dims), elements * element_bytes(stored));
  if (is_real(stored)) {
    known.data = Data::view(stored == ElementType::f16   ? Data::Type::f16
                            : stored == ElementType::f32 ? Data::Type::f32
                                                         : Data::Type::f64,
                            bytes.data(), elements, file);
    return known;
  }
  std::vector<int64_t> ints = read_integers(stored, bytes, elements);
  known.data = is_quantized(tensor)
                   ? Data::of_reals(dequantized(*tensor.quantization(), known.dims, ints, name))
                   : Data::of_ints(std::move(ints));
  return known;
}

}  // namespace attune
