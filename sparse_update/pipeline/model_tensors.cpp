#include "sparse_update/pipeline/model_tensors.h"

#include "engine/format/parameter_tensor.h"
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
    const ParameterTensor t = parameter_tensor(*p, 0);
    const size_t size = dtype_bytes(t.dtype, 1);
    if (t.state_offset + t.held_bytes() > state.size())
      throw_error("{}: {} bytes of state do not hold parameter {}", plan.name(), state.size(),
                  t.name);
    const auto shape = list_of(p->model_shape());
    const int first_axis = p->perm()->size() > 0 ? p->perm()->Get(0) : 0;
    tensors.push_back(
        {std::string(t.name), {shape.begin(), shape.end()}, {}, p->head(), first_axis});
    for_each_run(t, [&](const ElementRun& run) {
      const std::byte* from =
          address_of(t, run, state.data() + t.state_offset, plan.constants().data());
      for (int64_t i = 0; i < run.count; ++i)
        tensors.back().reals.push_back(
            real_at(t.dtype, from + static_cast<size_t>(i * run.stride) * size));
      return true;
    });
  }
  return tensors;
}

}  // namespace attune
