#include "kernels/binding.h"

#include <limits>
#include <utility>

#include "kernels/custom.h"

namespace attune {
namespace {

constexpr int32_t kUnknown = -1;
constexpr const char* kShape = "a shape does not fit the others";

// A scalar counts as [1] where an axis is written.
void widen_scalar(const SignatureOperand& operand, Shape& shape) {
  int named = 0;
  for (int t = 0; t < operand.count; ++t) named += !operand.axes[t].is_rest();
  if (shape.rank == 0 && named == 1) shape = {1};
}

}  // namespace

OperandAxes operand_axes(const SignatureOperand& operand, int k, int rank, const AxisFacts& facts) {
  OperandAxes made;
  int named = 0;
  for (int t = 0; t < operand.count; ++t) ++(operand.axes[t].is_rest() ? made.blocks : named);
  const int rest = rank - named;
  if (rank > kMaxRank || rest < 0 || (made.blocks == 0 && rest != 0)) return made;
  if (made.blocks == 2 && (facts.axis < 0 || facts.axis > rest)) return made;
  made.lengths[0] = made.blocks == 2 ? facts.axis : rest;
  made.lengths[1] = rest - made.lengths[0];
  int at = 0;
  int8_t block = 0;
  for (int t = 0; t < operand.count; ++t) {
    const SignatureAxis& term = operand.axes[t];
    if (!term.is_rest()) {
      made.axes[at++] = {term, 0, 0};
      continue;
    }
    for (int i = made.lengths[block]; i-- > 0;)
      made.axes[at++] = {term, block, static_cast<int8_t>(i)};
    ++block;
  }
  if (operand.swapped && facts.swapped[k]) std::swap(made.axes[rank - 1], made.axes[rank - 2]);
  made.rank = rank;
  return made;
}

const char* count_windows(const AxisFacts::Window& w, int32_t image, int32_t kernel,
                          int32_t* count) {
  constexpr int32_t kLimit = 1 << 20;
  if (image < 1) return "the attributes state no size of the image";
  if (kernel < 1) return "the attributes state no size of the kernel";
  if (w.stride < 1) return "a stride below 1";
  if (w.dilation < 1) return "a dilation below 1";
  if (w.pad_before < 0 || w.pad_after < 0) return "a negative padding";
  for (int32_t field : {w.stride, w.dilation, w.pad_before, w.pad_after, kernel})
    if (field > kLimit) return "a window or a padding that is too large";
  const int64_t room =
      int64_t{image} + w.pad_before + w.pad_after - int64_t{w.dilation} * (kernel - 1) - 1;
  if (room < 0) return "the window does not fit into the padded image";
  *count = static_cast<int32_t>(room / w.stride + 1);
  return nullptr;
}

Binding::Binding(Op op, const void* attrs, std::span<const Tensor> inputs, DType real)
    : row_(signature(op)), facts_(axis_facts(op, attrs)), inputs_(inputs), real_(real) {
  for (int32_t& size : sizes_) size = kUnknown;
  for (int32_t& size : windows_) size = kUnknown;
  for (int i = 0; i < row_.inputs; ++i)
    if (row_.input(i).operand_type() == OperandType::places && !present(i))
      alias_ = row_.input(i).axes[0].name, aliased_ = row_.input(i).places;
}

const char* Binding::bind(const Shape* wanted) {
  for (int i = 0; i < inputs(); ++i)
    if (present(i) && !type_fits(i, inputs_[static_cast<size_t>(i)].dtype))
      return refuse(i, "an input has the wrong type");
  if (facts_.groups < 1) return "groups below 1";
  if (const int g = row_.find("G"); g != kNoName) sizes_[g] = facts_.groups;

  // Along the axis where inputs of any number have sizes of their own.
  const bool along = row_.input(0).many && !row_.input(0).any_shape;
  int64_t total = 0;
  int broadcast = 0;
  for (int i = 0; i < inputs(); ++i) {
    if (!present(i)) continue;
    if (!learn(i, shape(i))) return refuse(i, kShape);
    if (along) total += shape(i)[facts_.axis];
    broadcast += row_.input(i).axes[0].kind == SignatureAxis::rest_or_less;
  }
  if (total > std::numeric_limits<int32_t>::max()) return "the axis gets too long";
  if (along) sizes_[row_.find("S")] = static_cast<int32_t>(total);
  if (broadcast > 1) rests_[0].known = true;  // One of the operands has the size of each axis.
  if (const char* wrong = bind_windows()) return wrong;
  if (row_.input(0).any_shape) return bind_own(wanted);

  const bool open = leaves_open(row_.output(0));
  if (open && wanted == nullptr) return "no output shape is given";
  if (open && !learn(inputs(), *wanted)) return refuse(inputs(), kShape);
  for (int k = 0; k < inputs() + open; ++k)
    if (k == inputs() ? !shape_fits(k, *wanted) : present(k) && !shape_fits(k, shape(k)))
      return refuse(k, kShape);
  if (facts_.gates != 0)
    if (const char* wrong = bind_recurrent()) return wrong;
  if (facts_.slices &&
      (facts_.start < 0 || int64_t{facts_.start} + sizes_[row_.find("S")] > sizes_[row_.find("A")]))
    return "the input has no such elements";
  // L: what K leaves of the axis A.
  if (const int left = row_.find("L"); left != kNoName)
    if (int64_t{sizes_[left]} + sizes_[row_.find("K")] != sizes_[row_.find("A")])
      return "both parts are not as long as the whole";
  return nullptr;
}

const char* Binding::refuse(int k, const char* what) {
  operand = k;
  return what;
}

// Takes from an operand the sizes that are not known yet. False where it has too many or too few
// axes.
bool Binding::learn(int k, Shape shape) {
  const SignatureOperand& operand = written(k);
  if (operand.any_shape) return true;
  widen_scalar(operand, shape);
  const OperandAxes axes = operand_axes(operand, k, shape.rank, facts_);
  if (axes.rank < 0) return false;
  for (int i = 0; i < axes.rank; ++i) {
    const SignatureAxis& term = axes.axes[i].term;
    if (term.is_rest()) {
      Rest& rest = rests_[axes.axes[i].block];
      int32_t& size = rest.sizes[axes.axes[i].from_last];
      if (!rest.known && (term.kind == SignatureAxis::rest || size == 1)) size = shape[i];
    } else if (term.kind == SignatureAxis::named && !operand.many && size_of(term) == kUnknown) {
      if (term.window)
        windows_[term.name] = shape[i];
      else if (term.factor == kNoName)
        sizes_[real_name(term.name)] = shape[i];
      else
        sizes_[term.factor] = shape[i] / sizes_[term.name];
    }
  }
  int block = 0;
  for (int t = 0; t < operand.count; ++t) {
    if (!operand.axes[t].is_rest()) continue;
    Rest& rest = rests_[block];
    const bool whole = operand.axes[t].kind == SignatureAxis::rest;
    if (!rest.known && (whole || axes.lengths[block] > rest.rank)) rest.rank = axes.lengths[block];
    rest.known |= whole;
    ++block;
  }
  return true;
}

bool Binding::leaves_open(const SignatureOperand& operand) const {
  int block = 0;
  for (int t = 0; t < operand.count; ++t)
    if (operand.axes[t].is_rest() ? !rests_[block++].known : size_of(operand.axes[t]) == kUnknown)
      return true;
  return false;
}

// What attributes state of sizes is right, and inputs have to agree.
const char* Binding::bind_windows() {
  if (!facts_.windowed) return nullptr;
  for (const bool rows : {true, false}) {
    const AxisFacts::Window& window = rows ? facts_.rows : facts_.columns;
    image = row_.find(rows ? "H" : "W");
    const int named_kernel = row_.find(rows ? "KH" : "KW");
    int32_t kernel = window.kernel;
    if (window.input != 0) sizes_[image] = window.input;
    if (named_kernel != kNoName) {
      if (kernel != 0) sizes_[named_kernel] = kernel;
      kernel = sizes_[named_kernel];
    }
    if (const char* wrong = count_windows(window, sizes_[image], kernel, &windows_[image]))
      return wrong;
  }
  image = kNoName;
  return nullptr;
}

// The hidden state goes into its own product; biases are those of the input and of the state.
const char* Binding::bind_recurrent() {
  const auto need = [&](const char* name, int32_t size) -> const char* {
    const auto [k, at] = row_.place(name);
    if (k < 0 || !present(k) || sizes_[row_.find(name)] == size) return nullptr;
    axis = at;
    return refuse(k, kShape);
  };
  const char* wrong = need("K", sizes_[row_.find("H")]);
  return wrong ? wrong : need("P", 2);
}

// What letters do not say.
const char* Binding::bind_own(const Shape* wanted) {
  if (facts_.custom != nullptr) return custom_output(*facts_.custom, inputs_, real_, &own_);
  const Shape& x = shape(0);
  own_ = x;
  if (facts_.perm != nullptr) {
    unsigned seen = 0;
    for (int i = 0; i < x.rank; ++i) {
      const int32_t p = facts_.perm[i];
      if (p < 0 || p >= x.rank || (seen >> p & 1)) return "no permutation of the axes";
      seen |= 1u << p;
      own_[i] = x[p];
    }
  } else if (facts_.reduces) {
    if (facts_.reduced < 0 || (facts_.reduced >> x.rank) != 0) return "the input has no such axes";
    for (int i = 0; i < x.rank; ++i)
      if (facts_.reduced >> i & 1) own_[i] = 1;
  } else {  // reshape
    if (wanted == nullptr) return "no output shape is given";
    if (wanted->elements() != x.elements()) return "not as many elements as the input has";
    own_ = *wanted;
  }
  return nullptr;
}

bool Binding::may_have(int output) const {
  if (output == 0) return true;
  for (int i = 0; i < row_.inputs; ++i)
    if (row_.input(i).operand_type() == OperandType::mask && !present(i)) return false;
  return output < row_.outputs;
}

DType Binding::type_of(int k) const {
  switch (written(k).operand_type()) {
    case OperandType::real:
      return real_;
    case OperandType::u8:
      return DType::u8;
    case OperandType::i32:
    case OperandType::places:
      return DType::i32;
    case OperandType::mask:
      return DType::mask;
    case OperandType::whole:
    case OperandType::any:
      return inputs_[0].dtype;
  }
  return real_;
}

bool Binding::type_fits(int k, DType dtype) const {
  return dtype == type_of(k) &&
         (dtype != DType::mask || written(k).operand_type() != OperandType::whole);
}

int32_t Binding::size_of(const SignatureAxis& term) const {
  if (term.kind != SignatureAxis::named) return 1;
  if (term.window) return windows(term.name);
  if (term.factor == kNoName) return size(term.name);
  const int32_t outer = size(term.name), inner = size(term.factor);
  if (outer == kUnknown || inner == kUnknown) return kUnknown;
  const int64_t product = int64_t{outer} * inner;
  return product > std::numeric_limits<int32_t>::max() ? 0 : static_cast<int32_t>(product);
}

bool Binding::shape_fits(int k, Shape shape) {
  const SignatureOperand& operand = written(k);
  if (operand.any_shape) return k < inputs() || shape == own_;
  widen_scalar(operand, shape);
  const OperandAxes axes = operand_axes(operand, k, shape.rank, facts_);
  axis = -1;
  if (axes.rank < 0) return false;
  const bool less = operand.axes[0].kind == SignatureAxis::rest_or_less;
  for (int b = 0; b < axes.blocks; ++b)
    if (less ? axes.lengths[b] > rests_[b].rank : axes.lengths[b] != rests_[b].rank) return false;
  for (axis = 0; axis < axes.rank; ++axis) {
    const auto& [term, block, from_last] = axes.axes[axis];
    if (operand.many && !term.is_rest()) continue;
    const bool free = term.is_rest() && term.kind != SignatureAxis::ones;
    const int32_t needed = free ? rests_[block].sizes[from_last] : size_of(term);
    if (shape[axis] != needed && !(less && shape[axis] == 1)) return false;
  }
  return true;
}

}  // namespace attune
