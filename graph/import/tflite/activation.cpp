#include <cmath>
#include <numbers>

#include "graph/import/common/known_math.h"
#include "graph/import/tflite/tflite_node.h"

namespace attune {
namespace {

struct KnownFunction {
  std::string_view onnx;
  double (*of)(double);
};
constexpr KnownFunction kKnown[] = {
    {"Abs", [](double x) { return std::fabs(x); }},
    {"Ceil", [](double x) { return std::ceil(x); }},
    {"Floor", [](double x) { return std::floor(x); }},
    {"Neg", [](double x) { return -x; }},
    {"Not", [](double x) { return x == 0 ? 1. : 0.; }},
    {"Sqrt", [](double x) { return std::sqrt(x); }},
};

// What is of known numbers is computed: it is shape arithmetic.
bool compute_known(TfliteNode& n, std::string_view onnx) {
  if (!n.all_known()) return false;
  const KnownTensor& x = n.known(0, "input");
  for (const KnownFunction& function : kKnown) {
    if (function.onnx != onnx) continue;
    std::vector<double> numbers;
    if (x.real())
      numbers = x.data->reals();
    else
      for (const int64_t i : x.data->ints()) numbers.push_back(static_cast<double>(i));
    for (double& number : numbers) number = function.of(number);
    n.set_known(0, computed(x.type, x.dims, numbers, is_trainable(x)));
    return true;
  }
  n.fail("its input is a constant; convert the model with constants folded");
}

// f makes the output of a value that has the input's elements, in whichever order.
template <class F>
void elementwise(TfliteNode& n, F&& f) {
  if (n.is_known(0)) n.fail("its input is a constant; convert the model with constants folded");
  if (n.is_image(0))
    n.set_image(0, f(n.image(0)), n.dims(0));
  else
    n.set(0, f(n.value(0)), n.dims(0));
}

void translate_same(TfliteNode& n, const char* onnx) {
  if (compute_known(n, onnx)) return;
  elementwise(n, [&](const std::string& x) { return n.emit(onnx, {x}); });
}

void activate(TfliteNode& n, tflite::Activation activation) {
  elementwise(n, [&](const std::string& x) { return n.activate(x, activation); });
}

// Over the last axis, of a value that has one besides the batch.
template <class F>
void over_last(TfliteNode& n, F&& f) {
  if (n.rank(0) < 1) n.fail("its input has no axes");
  const Dims form = n.rank(0) == 1 ? n.dims(0) : example(n.dims(0));
  n.set(0, f(n.value(0, form)), n.dims(0), form);
}

}  // namespace

#define TFLITE(name)
#define TFLITE_SAME(name, onnx) \
  void translate_##name(TfliteNode& n) { translate_same(n, #onnx); }
#include "graph/import/tflite/tflite_ops.def"

void translate_RELU6(TfliteNode& n) { activate(n, tflite::Activation::RELU6); }
void translate_RELU_N1_TO_1(TfliteNode& n) { activate(n, tflite::Activation::RELU_N1_TO_1); }

void translate_RELU_0_TO_1(TfliteNode& n) {
  elementwise(n, [&](const std::string& x) { return n.emit("Clip", {x, n.real(0), n.real(1)}); });
}

void translate_LEAKY_RELU(TfliteNode& n) {
  const double alpha = n.options(n.op().builtin_options_as_LeakyReluOptions()).alpha();
  elementwise(n, [&](const std::string& x) {
    return n.emit("LeakyRelu", {x}, {{"alpha", alpha}});
  });
}

void translate_PRELU(TfliteNode& n) {
  n.known(1, "slope");
  if (broadcast_dims(n.dims(0), n.dims(1)) != n.dims(0))
    n.fail("a slope of shape {} for {}", dims_text(n.dims(1)), dims_text(n.dims(0)));
  n.set(0, n.emit("PRelu", {n.value(0), n.operand(1, n.dims(0))}), n.dims(0));
}

void translate_SQUARE(TfliteNode& n) {
  elementwise(n, [&](const std::string& x) { return n.emit("Mul", {x, x}); });
}

void translate_RSQRT(TfliteNode& n) {
  elementwise(n, [&](const std::string& x) {
    return n.emit("Div", {n.real(1), n.emit("Sqrt", {x})});
  });
}

// x Phi(x), or by a tanh what is close to it: written out, as opset 17 has no operator for it.
void translate_GELU(TfliteNode& n) {
  const auto* options = n.op().builtin_options_as_GeluOptions();
  const bool approximate = options != nullptr && options->approximate();
  elementwise(n, [&](const std::string& x) {
    std::string at = x;
    if (approximate) {
      const std::string cube = n.emit("Mul", {n.emit("Mul", {x, x}), x});
      const std::string sum = n.emit("Add", {x, n.emit("Mul", {cube, n.real(0.044715)})});
      at = n.emit("Tanh", {n.emit("Mul", {sum, n.real(std::sqrt(2 / std::numbers::pi))})});
    } else {
      at = n.emit("Erf", {n.emit("Mul", {x, n.real(1 / std::numbers::sqrt2)})});
    }
    const std::string half = n.emit("Mul", {x, n.real(0.5)});
    return n.emit("Mul", {half, n.emit("Add", {at, n.real(1)})});
  });
}

void translate_SOFTMAX(TfliteNode& n) {
  const double beta = n.options(n.op().builtin_options_as_SoftmaxOptions()).beta();
  over_last(n, [&](const std::string& x) {
    const std::string scaled = beta == 1 ? x : n.emit("Mul", {x, n.real(beta)});
    return n.emit("Softmax", {scaled}, {{"axis", int64_t{-1}}});
  });
}

void translate_LOG_SOFTMAX(TfliteNode& n) {
  over_last(n, [&](const std::string& x) {
    return n.emit("LogSoftmax", {x}, {{"axis", int64_t{-1}}});
  });
}

void translate_L2_NORMALIZATION(TfliteNode& n) {
  constexpr double kLeast = 1e-6;  // of a norm, as the interpreter has it
  const auto* options = n.op().builtin_options_as_L2NormOptions();
  over_last(n, [&](const std::string& x) {
    const std::string sum =
        n.emit("ReduceSum", {n.emit("Mul", {x, x}), n.ints({-1})}, {{"keepdims", int64_t{1}}});
    const std::string norm = n.emit("Clip", {n.emit("Sqrt", {sum}), n.real(kLeast)});
    const std::string y = n.emit("Div", {x, norm});
    return options == nullptr ? y : n.activate(y, options->activation());
  });
}

}  // namespace attune
