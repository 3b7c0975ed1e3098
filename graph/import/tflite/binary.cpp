#include <algorithm>

#include "graph/import/common/known_math.h"
#include "graph/import/tflite/tflite_node.h"

namespace attune {
namespace {

struct BinaryOperation {
  const char* onnx;
  std::optional<Binary> known = {};
};

// f makes the output of both operands, which broadcast.
template <class F>
void broadcast_two(TfliteNode& n, F&& f) {
  const Dims y = broadcast_dims(n.dims(0), n.dims(1));
  const auto stays = [&](int i) { return n.is_image(i) && n.dims(i) == y; };
  // Images stay as they are beside each other and beside numbers.
  if ((stays(0) || n.is_number(0)) && (stays(1) || n.is_number(1))) {
    const auto part = [&](int i) { return n.is_number(i) ? n.value(i, {}) : n.image(i); };
    return n.set_image(0, f(part(0), part(1)), y);
  }
  n.set(0, f(n.operand(0, y), n.operand(1, y)), y);
}

void translate_binary(TfliteNode& n, const BinaryOperation& operation,
                      tflite::Activation activation = tflite::Activation::NONE) {
  if (n.all_known()) {
    if (!operation.known || activation != tflite::Activation::NONE)
      n.fail("its inputs are constants; convert the model with constants folded");
    return n.set_known(0, compute(*operation.known, n.known(0, "input"), n.known(1, "input")));
  }
  broadcast_two(n, [&](const std::string& a, const std::string& b) {
    return n.activate(n.emit(operation.onnx, {a, b}), activation);
  });
}

template <class Options>
tflite::Activation activation_of(const Options* options) {
  return options == nullptr ? tflite::Activation::NONE : options->activation();
}

// A bound that is a number is one of a clamp.
void translate_bound(TfliteNode& n, const BinaryOperation& operation, bool least) {
  for (int i = 0; i < 2; ++i) {
    if (!n.is_number(i) || n.is_known(1 - i)) continue;
    const std::string bound = n.value(i, {});
    const auto clip = [&](const std::string& x) {
      return least ? n.emit("Clip", {x, bound}) : n.emit("Clip", {x, "", bound});
    };
    const Dims y = n.dims(1 - i);
    if (n.is_image(1 - i)) return n.set_image(0, clip(n.image(1 - i)), y);
    return n.set(0, clip(n.value(1 - i)), y);
  }
  translate_binary(n, operation);
}

void translate_select(TfliteNode& n) {
  if (n.all_known())
    return n.set_known(0, where(n.known(0, "condition"), n.known(1, "input"), n.known(2, "input")));
  const Dims y = broadcast_dims(n.dims(0), broadcast_dims(n.dims(1), n.dims(2)));
  n.set(0, n.emit("Where", {n.operand(0, y), n.operand(1, y), n.operand(2, y)}), y);
}

}  // namespace

void translate_ADD(TfliteNode& n) {
  translate_binary(n, {"Add", Binary::add}, activation_of(n.op().builtin_options_as_AddOptions()));
}
void translate_SUB(TfliteNode& n) {
  translate_binary(n, {"Sub", Binary::sub}, activation_of(n.op().builtin_options_as_SubOptions()));
}
void translate_MUL(TfliteNode& n) {
  translate_binary(n, {"Mul", Binary::mul}, activation_of(n.op().builtin_options_as_MulOptions()));
}
void translate_DIV(TfliteNode& n) {
  translate_binary(n, {"Div", Binary::div}, activation_of(n.op().builtin_options_as_DivOptions()));
}
void translate_MAXIMUM(TfliteNode& n) { translate_bound(n, {"Max", Binary::max}, true); }
void translate_MINIMUM(TfliteNode& n) { translate_bound(n, {"Min", Binary::min}, false); }
void translate_EQUAL(TfliteNode& n) { translate_binary(n, {"Equal", Binary::equal}); }
void translate_LESS(TfliteNode& n) { translate_binary(n, {"Less", Binary::less}); }
void translate_GREATER(TfliteNode& n) { translate_binary(n, {"Greater", Binary::greater}); }
void translate_LESS_EQUAL(TfliteNode& n) {
  translate_binary(n, {"LessOrEqual", Binary::less_or_equal});
}
void translate_GREATER_EQUAL(TfliteNode& n) {
  translate_binary(n, {"GreaterOrEqual", Binary::greater_or_equal});
}
void translate_LOGICAL_AND(TfliteNode& n) { translate_binary(n, {"And", Binary::logical_and}); }
void translate_LOGICAL_OR(TfliteNode& n) { translate_binary(n, {"Or", Binary::logical_or}); }

void translate_NOT_EQUAL(TfliteNode& n) {
  if (n.all_known())
    return n.set_known(0, compute(Unary::logical_not, compute(Binary::equal, n.known(0, "input"),
                                                              n.known(1, "input"))));
  broadcast_two(n, [&](const std::string& a, const std::string& b) {
    return n.emit("Not", {n.emit("Equal", {a, b})});
  });
}

void translate_SQUARED_DIFFERENCE(TfliteNode& n) {
  if (n.all_known()) n.fail("its inputs are constants; convert the model with constants folded");
  broadcast_two(n, [&](const std::string& a, const std::string& b) {
    const std::string difference = n.emit("Sub", {a, b});
    return n.emit("Mul", {difference, difference});
  });
}

// Small whole powers are products, which are exact and have gradients everywhere.
void translate_POW(TfliteNode& n) {
  const double power = n.is_number(1) ? scalar(n.known(1, "exponent")) : 0;
  if (n.is_known(0) || (power != 2 && power != 3)) return translate_binary(n, {"Pow"});
  broadcast_two(n, [&](const std::string& x, const std::string&) {
    const std::string square = n.emit("Mul", {x, x});
    return power == 2 ? square : n.emit("Mul", {square, x});
  });
}

void translate_ADD_N(TfliteNode& n) {
  std::vector<std::string> parts;
  for (int i = 0; i < n.input_count(); ++i) {
    if (n.dims(i) != n.dims(0)) n.fail("its inputs have different shapes");
    parts.push_back(n.operand(i, n.dims(0)));
  }
  if (parts.empty() || n.all_known()) n.fail("nothing in it is computed");
  n.set(0, n.emit("Sum", parts), n.dims(0));
}

void translate_SELECT_V2(TfliteNode& n) { translate_select(n); }

// The condition of the first version may be a vector of rows.
void translate_SELECT(TfliteNode& n) {
  if (n.rank(0) == 1 && n.rank(1) > 1) n.fail("a condition for each row");
  translate_select(n);
}

}  // namespace attune
