#include "graph/import/common/known_math.h"
#include "graph/import/onnx/onnx_node.h"

namespace attune {

void import_Concat(OnnxNode& n) {
  if (n.input_count() == 0) n.fail("it has no inputs");
  const int axis = normal_axis(n.integer("axis", 1), n.rank(0));
  if (n.all_known()) {
    std::vector<KnownTensor> parts;
    for (int i = 0; i < n.input_count(); ++i) parts.push_back(n.known(i, "part"));
    return n.set(0, concat(parts, axis));
  }
  std::vector<ValueId> parts;
  for (int i = 0; i < n.input_count(); ++i)
    if (!n.is_known(i) || n.known(i, "part").elements() > 0) parts.push_back(n.operand(i));
  if (parts.size() == 1) return n.set(0, parts[0]);
  n.set(0, n.emit(Op::concat, AxisAttrs{axis}, parts));
}

}  // namespace attune
