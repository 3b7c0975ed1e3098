#include "graph/import/common/known_math.h"
#include "graph/import/tflite/tflite_node.h"

namespace attune {
namespace {

// Which axes of the input are reduced.
std::vector<bool> reduced_axes(const TfliteNode& n) {
  std::vector<bool> reduced(n.dims(0).size(), false);
  for (const int64_t axis : n.ints(1, "axes"))
    reduced[static_cast<size_t>(n.axis(axis, n.rank(0)))] = true;
  return reduced;
}

// In opset 17 axes are an attribute, but for a sum.
void translate_reduce(TfliteNode& n, const char* onnx) {
  const std::vector<bool> reduced = reduced_axes(n);
  const auto* options = n.op().builtin_options_as_ReducerOptions();
  const bool keep = options != nullptr && options->keep_dims();
  if (n.is_known(0)) {
    if (onnx != std::string_view("ReduceProd"))
      n.fail("its input is a constant; convert the model with constants folded");
    return n.set_known(0, reduce_prod(n.known(0, "input"), reduced, keep));
  }
  // The batch's own axis stays, or is not there.
  const bool whole = reduced.empty() || n.dims(0)[0] != 1 || reduced[0];
  Dims axes, y;
  for (size_t i = 0; i < reduced.size(); ++i) {
    if (reduced[i]) axes.push_back(static_cast<int64_t>(i) + (whole ? 1 : 0));
    if (keep || !reduced[i]) y.push_back(reduced[i] ? 1 : n.dims(0)[i]);
  }
  if (axes.empty()) return n.alias(0, 0, n.dims(0));
  const std::string x = n.value(0, whole ? n.dims(0) : example(n.dims(0)));
  const Attribute kept = {"keepdims", int64_t{keep}};
  const std::string value = onnx == std::string_view("ReduceSum")
                                ? n.emit(onnx, {x, n.ints(axes)}, {kept})
                                : n.emit(onnx, {x}, {{"axes", axes}, kept});
  n.set(0, value, y, whole ? y : Dims(y.begin() + 1, y.end()));
}

int one_axis(const TfliteNode& n, const Dims& given) {
  if (given.size() != 1) n.fail("{} axes", given.size());
  return n.axis(given[0], n.rank(0));
}

}  // namespace

void translate_MEAN(TfliteNode& n) { translate_reduce(n, "ReduceMean"); }
void translate_SUM(TfliteNode& n) { translate_reduce(n, "ReduceSum"); }
void translate_REDUCE_MAX(TfliteNode& n) { translate_reduce(n, "ReduceMax"); }
void translate_REDUCE_MIN(TfliteNode& n) { translate_reduce(n, "ReduceMin"); }
void translate_REDUCE_PROD(TfliteNode& n) { translate_reduce(n, "ReduceProd"); }

void translate_ARG_MAX(TfliteNode& n) {
  const int axis = one_axis(n, n.ints(1, "axis"));
  Dims y = n.dims(0);
  y.erase(y.begin() + axis);
  n.set(0,
        n.emit("ArgMax", {n.value(0, n.dims(0))},
               {{"axis", int64_t{axis + 1}}, {"keepdims", int64_t{0}}}),
        y, y);
}

void translate_CUMSUM(TfliteNode& n) {
  const auto& options = n.options(n.op().builtin_options_as_CumsumOptions());
  const int axis = one_axis(n, n.ints(1, "axis"));
  n.set(0,
        n.emit(
            "CumSum", {n.value(0, n.dims(0)), n.ints({axis + 1})},
            {{"exclusive", int64_t{options.exclusive()}}, {"reverse", int64_t{options.reverse()}}}),
        n.dims(0), n.dims(0));
}

}  // namespace attune
