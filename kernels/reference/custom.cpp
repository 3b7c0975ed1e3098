#include "kernels/custom.h"

#include <type_traits>

#include "kernels/reference/table.h"

namespace attune::reference {

// Whoever made the step has found the operator and its kernel.
template <class T>
void custom(const KernelArgs& args) {
  const CustomOperator& op = *find_custom_operator(args.attributes<CustomAttrs>());
  (std::is_same_v<T, float> ? op.run_f32 : op.run_f64)(args);
}
ATTUNE_INSTANTIATE(custom)

}  // namespace attune::reference
