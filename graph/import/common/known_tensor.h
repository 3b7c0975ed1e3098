#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/ir/graph.h"
#include "graph/ir/perm.h"

namespace attune {

using Dims = std::vector<int64_t>;

enum class ElementType : int32_t {
#define ELEMENT(name, number, Type) name = number,
#include "graph/import/common/element_types.def"
#undef ELEMENT
};
std::optional<ElementType> element_type(int32_t onnx_number);
size_t element_bytes(ElementType type);
bool is_real(ElementType type);

// Nothing computed at import may be larger than this: a few bytes of a model can ask for any size.
inline constexpr int64_t kMaxComputedElements = int64_t{1} << 24;

// What the model's exporter says of a tensor.
enum class Mark : uint8_t {
  none,
  parameter,
  buffer,  // a constant of the user's: statistics, masks, tables
  made,    // the exporter's own, as by folding constants; perhaps a weight in another layout
};

// Where the contents of a known tensor came from: the model's tensor `tensor` (an initializer or a
// constant), seen through reshapes and transposes, as Origin describes it.
struct View {
  std::string tensor;
  Mark mark = Mark::none;
  Dims model_shape, view_shape;
  Perm perm;
};

// A tensor whose contents import knows: an initializer, a constant, or computed from such. Rank and
// sizes (zero included) are any; `data` has as many elements.
struct KnownTensor {
  ElementType type = ElementType::i64;
  Dims dims;
  DataPtr data;
  std::optional<View> view;  // as the model holds it
  bool derived = false;      // computed from the contents of what may be a parameter

  bool real() const { return is_real(type); }
  int64_t elements() const;
};
using KnownPtr = std::shared_ptr<const KnownTensor>;

// Product of the sizes. Throws Error where one is negative or the product passes 2^40.
int64_t count_elements(const Dims& dims);

// What a float attribute was meant to be: 1e-5 and not 9.99999974737875e-06. Elements of tensors
// are what they are.
double shortest_decimal(float value);
// Throws Error unless the tensor has one element.
double scalar(const KnownTensor& tensor);

// Throws Error where a shape is not one that values can have.
Shape to_shape(const Dims& dims);
std::string dims_text(const Dims& dims);

}  // namespace attune
