#include "attune/thread_pool.h"
#include "kernels/xnnpack/operators.h"
#include "kernels/xnnpack/versions.h"

namespace attune::xnnpack {
namespace {

bool supports(const KernelArgs& args) {
  const auto& a = args.attributes<LinearAttrs>();
  const Tensor x = args.input(0), w = args.input(1);
  return w.frozen && x.shape.elements() > 0 && w.shape.elements() > 0 &&
         clamp_is_valid(a.clamp_min, a.clamp_max);
}

void* prepare(const KernelArgs& args, size_t* held_bytes) {
  const auto& a = args.attributes<LinearAttrs>();
  const Tensor x = args.input(0), w = args.input(1), y = args.output(0);
  const size_t inputs = w.shape[1], outputs = w.shape[0];
  const FusedOutput output = fused_output(args, a.clamp_min, a.clamp_max);
  Prepared* prepared = prepare_operator(
      w.bytes() + outputs * sizeof(float), held_bytes,
      [&](xnn_operator_t* op) {
        return create(xnn_create_fully_connected_nc_f32, op, inputs, outputs, inputs, outputs,
                      w.as<float>(), output.bias, output.min, output.max, 0);
      },
      [&](xnn_operator_t op) { return set_up_fully_connected(op, x, y, args.pool->native()); });
  if (prepared) prepared->bias_after = bias_is_trained(args);
  return prepared;
}

}  // namespace

constexpr Kernel kLinear{run_forward<LinearAttrs>, supports, nullptr, prepare, release};

}  // namespace attune::xnnpack
