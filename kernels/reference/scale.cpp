#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/instantiate.h"
#include "kernels/reference/table.h"

namespace attune::reference {

template <class T>
void scale(const KernelArgs& args) {
  const auto& attrs = args.attributes<ScaleAttrs>();
  const T factor = static_cast<T>(attrs.factor), offset = static_cast<T>(attrs.offset);
  map<T>(args, [=](T x) { return factor * x + offset; });
}
ATTUNE_INSTANTIATE(scale)

}  // namespace attune::reference
