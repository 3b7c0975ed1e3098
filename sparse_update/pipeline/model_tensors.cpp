#include "sparse_update/pipeline/model_tensors.h"

#include "engine/format/plan_tensor.h"
#include "graph/ir/error.h"

namespace attune {

ModelTensor model_tensor(const Value& parameter) {
  const Origin& origin = parameter.origin;
  return {origin.tensor, origin.model_shape, in_model_order(*parameter.data, origin)->reals(),
          parameter.fresh, origin.perm[0]};
}

std::vector<ModelTensor> trained_tensors(const Plan& plan, std::span<const std::byte> state) {
  std::vector<ModelTensor> tensors;
  if (!plan.table().parameters()) return tensors;
  for (const format::Parameter* p : *plan.table().parameters()) {
    Value value;
    value.dtype = static_cast<DType>(p->dtype());
    for (int32_t d : *p->shape()) value.shape.dims[value.shape.rank++] = d;
    value.origin.tensor = p->name()->str();
    for (int64_t d : list_of(p->model_shape())) value.origin.model_shape.push_back(d);
    value.origin.view_shape.rank = value.shape.rank;
    for (unsigned i = 0; i < p->perm()->size(); ++i) {
      value.origin.perm[i] = p->perm()->Get(i);
      value.origin.view_shape[static_cast<int>(i)] = p->view_shape()->Get(i);
    }
    value.fresh = p->head();
    const size_t bytes = static_cast<size_t>(value.bytes());
    if (p->state_offset() + bytes > state.size())
      throw_error("{}: {} bytes of state do not hold parameter {}", plan.name(), state.size(),
                  value.origin.tensor);
    const auto from = state.subspan(p->state_offset(), bytes);
    value.data = Data::view(value.dtype == DType::f32 ? Data::Type::f32 : Data::Type::f64,
                            from.data(), static_cast<size_t>(value.shape.elements()), nullptr);
    tensors.push_back(model_tensor(value));
  }
  return tensors;
}

}  // namespace attune
