#include "graph/import/common/known_math.h"
#include "graph/import/onnx/onnx_node.h"

namespace attune {

void import_Constant(OnnxNode& n) {
  if (auto tensor = n.tensor("value")) return n.set_model_tensor(std::move(*tensor));
  KnownTensor tensor;
  if (n.has_attribute("value_int")) {
    tensor.data = Data::of_ints({n.integer("value_int", 0)});
  } else if (n.has_attribute("value_ints")) {
    tensor = vector_of(n.ints("value_ints"));
  } else if (n.has_attribute("value_float")) {
    tensor.type = ElementType::f32;
    tensor.data = Data::of_reals({n.real("value_float", 0)});
  } else if (n.has_attribute("value_floats")) {
    tensor.type = ElementType::f32;
    tensor.data = Data::of_reals(n.reals("value_floats"));
    tensor.dims = {static_cast<int64_t>(tensor.data->size())};
  } else {
    n.fail("its value is neither a tensor nor numbers");
  }
  n.set(0, std::move(tensor));
}

void import_ConstantOfShape(OnnxNode& n) {
  KnownTensor value;
  value.type = ElementType::f32;
  value.data = Data::of_reals({0});
  if (const auto given = n.tensor("value")) value = reshape(*given, {});
  n.set(0, broadcast(value, n.known_ints(0, "shape")));
}

void import_Identity(OnnxNode& n) { n.alias(0, 0); }

// One that is to drop elements is refused: what it computes is random.
void import_Dropout(OnnxNode& n) {
  n.refuse_outputs(1);
  const bool trains = n.has(2) && n.known_scalar(2, "training mode") != 0;
  if (trains && (!n.has(1) || n.known_scalar(1, "ratio") != 0))
    n.fail(
        "it is in training mode, so it drops elements at random; call model.eval() and export "
        "again");
  n.alias(0, 0);
}

void import_Cast(OnnxNode& n) {
  const int64_t number = n.integer("to", 0);
  const auto type = number == static_cast<int32_t>(number)
                        ? element_type(static_cast<int32_t>(number))
                        : std::nullopt;
  if (!type) n.fail("to element type {}", number);
  if (n.is_known(0)) return n.set(0, cast(n.known(0, "input"), *type));
  // All reals of a graph are of one type.
  if (is_real(*type) && n.is_real(0)) return n.alias(0, 0);
  if (*type == ElementType::boolean) {
    if (n.type(0) == *type) return n.alias(0, 0);
    const ValueId zero = n.number(0), x = n.value(0);
    const ValueId is_zero = n.emit(Op::equal, NoAttrs{}, {x, zero}, "is_zero");
    return n.set(0, n.emit(Op::scale, ScaleAttrs{-1, 1}, {is_zero}), *type);
  }
  if (is_real(*type)) return n.set(0, n.value(0), *type);
  if (n.is_real(0)) return n.set(0, n.emit(Op::trunc, NoAttrs{}, {n.value(0)}), *type);
  // Integers wrap where they are to be narrower than they may be.
  const size_t bytes = element_bytes(*type);
  const bool is_signed = *type == ElementType::i8 || *type == ElementType::i16;
  if (bytes >= 4 || n.type(0) == *type || n.type(0) == ElementType::boolean)
    return n.set(0, n.stored(0), *type);
  const double span = bytes == 1 ? 256 : 65536, least = is_signed ? -span / 2 : 0;
  const ValueId x = n.value(0);
  const ValueId turns = n.emit(Op::scale, ScaleAttrs{1 / span, -least / span}, {x}, "turns");
  const ValueId whole = n.emit(Op::floor, NoAttrs{}, {turns}, "whole");
  const ValueId lost = n.emit(Op::scale, ScaleAttrs{span, 0}, {whole}, "lost");
  n.set(0, n.emit(Op::sub, NoAttrs{}, {x, lost}), *type);
}

}  // namespace attune
