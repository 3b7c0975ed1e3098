#include "engine/format/step_check.h"

#include <cmath>
#include <new>
#include <type_traits>
#include <utility>

#include "kernels/axis_facts.h"
#include "kernels/signature.h"

namespace attune {
namespace {

struct Decoder {
  std::span<const int32_t> ints;
  std::span<const double> reals;
  size_t next_int = 0, next_real = 0;
  bool good = true;

  void operator()(const char*, int32_t& field) {
    if (next_int >= ints.size()) return void(good = false);
    field = ints[next_int++];
  }
  void operator()(const char*, bool& field) {
    if (next_int >= ints.size()) return void(good = false);
    const int32_t value = ints[next_int++];
    if (value != 0 && value != 1) good = false;
    field = value == 1;
  }
  void operator()(const char*, double& field) {
    if (next_real >= reals.size()) return void(good = false);
    field = reals[next_real++];
    if (std::isnan(field)) good = false;
  }
};

constexpr int32_t kUnknown = -1;

// Windows: out = (in + pads - dilation * (kernel - 1) - 1) / stride + 1, all of it in range. Sizes
// that the attributes state must be the tensors'; zero states nothing.
bool window_fits(const AxisFacts::Window& w, int32_t in, int32_t out, int32_t kernel) {
  constexpr int32_t kLimit = 1 << 20;
  if ((w.input != 0 && w.input != in) || (w.kernel != 0 && w.kernel != kernel)) return false;
  for (int32_t field : {w.stride, w.dilation, kernel})
    if (field < 1 || field > kLimit) return false;
  for (int32_t field : {w.pad_before, w.pad_after})
    if (field < 0 || field > kLimit) return false;
  const int64_t room =
      int64_t{in} + w.pad_before + w.pad_after - int64_t{w.dilation} * (kernel - 1) - 1;
  return room >= 0 && room / w.stride + 1 == out;
}

// Holds the operands of a step against the signature of its operator: one name is one size.
class Binding {
 public:
  Binding(const Signature& row, const AxisFacts& facts, std::span<const Tensor> in,
          std::span<const Tensor> out, DType real)
      : row_(row), facts_(facts), in_(in), out_(out), real_(real) {}

  bool types_fit() {
    for (size_t k = 0; k < in_.size() + out_.size(); ++k)
      if (tensor(k).data && !type_fits(written(k).operand_type(), tensor(k).dtype)) return false;
    return true;
  }

  bool shapes_fit() {
    for (int32_t& size : sizes_) size = kUnknown;
    for (int32_t& size : windows_) size = kUnknown;
    if (!bind(sizes_, row_.find("G"), facts_.groups) || facts_.groups < 1) return false;
    for (size_t k = 0; k < in_.size(); ++k)
      if (written(k).operand_type() == OperandType::places)
        alias_ = in_[k].data ? kNoName : written(k).axes[0].name, aliased_ = written(k).places;
    // Free axes are known from operands that have all of them.
    for (bool whole : {true, false})
      for (size_t k = 0; k < in_.size() + out_.size(); ++k)
        if (tensor(k).data && !operand_fits(written(k), tensor(k).shape, k, whole)) return false;
    return free_axes_have_a_source() && masked_sums_fit() && windows_fit() && own_fits();
  }

 private:
  const Tensor& tensor(size_t k) const { return k < in_.size() ? in_[k] : out_[k - in_.size()]; }
  const SignatureOperand& written(size_t k) const {
    return k < in_.size() ? row_.input(static_cast<int>(k))
                          : row_.output(static_cast<int>(k - in_.size()));
  }

  bool type_fits(OperandType type, DType dtype) const {
    switch (type) {
      case OperandType::real:
        return dtype == real_;
      case OperandType::u8:
        return dtype == DType::u8;
      case OperandType::i32:
      case OperandType::places:
        return dtype == DType::i32;
      case OperandType::mask:
        return dtype == DType::mask;
      case OperandType::whole:
        return dtype == out_[0].dtype && dtype != DType::mask;
      case OperandType::any:
        return dtype == out_[0].dtype;
    }
    return false;
  }

  // Gives a name its size, which every other operand has to agree with.
  static bool bind(int32_t* sizes, int name, int32_t size) {
    if (name == kNoName || sizes[name] == size) return true;
    if (sizes[name] != kUnknown) return false;
    sizes[name] = size;
    return true;
  }

  bool axis_fits(const SignatureAxis& term, int32_t size) {
    if (term.kind == SignatureAxis::one) return size == 1;
    if (term.factor != kNoName) {
      const int32_t outer = sizes_[term.name];
      return outer > 0 && size % outer == 0 && bind(sizes_, term.factor, size / outer);
    }
    if (term.window) return bind(windows_, term.name, size);
    return bind(sizes_, term.name == alias_ ? aliased_ : term.name, size);
  }

  // `whole`: looks at operands that have all free axes; else at the others.
  bool operand_fits(const SignatureOperand& operand, Shape shape, size_t k, bool whole) {
    if (operand.any_shape) return true;
    int named = 0, rests = 0;
    bool less = false;
    for (int t = 0; t < operand.count; ++t) {
      ++(operand.axes[t].is_rest() ? rests : named);
      less |= operand.axes[t].is_rest() && operand.axes[t].kind != SignatureAxis::rest;
    }
    if (whole == less) return true;
    if (shape.rank == 0 && named == 1) shape = {1};  // A scalar counts as [1].
    const int rest = shape.rank - named, axis = facts_.axis;
    if (rest < 0 || (rests == 0 && rest != 0)) return false;
    if (rests == 2 && (axis < 0 || axis > rest)) return false;
    if (operand.swapped && facts_.swapped[k])
      std::swap(shape[shape.rank - 1], shape[shape.rank - 2]);
    int at = 0, block = 0;
    for (int t = 0; t < operand.count; ++t) {
      const SignatureAxis& term = operand.axes[t];
      if (!term.is_rest()) {
        // Each of any number of inputs has a size of its own there.
        if (!operand.many && !axis_fits(term, shape[at])) return false;
        ++at;
        continue;
      }
      const int length = rests == 1 ? rest : block == 0 ? axis : rest - axis;
      Shape part;
      part.rank = length;
      for (int i = 0; i < length; ++i) part[i] = shape[at + i];
      if (!rest_fits(term, part, block)) return false;
      at += length;
      ++block;
    }
    return true;
  }

  bool rest_fits(const SignatureAxis& term, const Shape& part, int block) {
    Shape& rest = rests_[block];
    if (term.kind == SignatureAxis::rest) {
      if (rests_known_[block]) return part == rest;
      rests_known_[block] = true;
      rest = part;
      return true;
    }
    if (term.kind == SignatureAxis::ones) return part.rank == rest.rank && part.elements() == 1;
    if (part.rank > rest.rank) return false;
    for (int i = 0; i < part.rank; ++i) {
      const int of_rest = rest.rank - part.rank + i;
      if (part[i] != 1 && part[i] != rest[of_rest]) return false;
      if (part[i] == rest[of_rest]) reached_ |= 1u << of_rest;
    }
    return true;
  }

  // Of several operands that are broadcast together, one has the size of each axis.
  bool free_axes_have_a_source() const {
    if (row_.inputs < 2 || row_.input(1).axes[0].kind != SignatureAxis::rest_or_less) return true;
    for (int i = 0; i < rests_[0].rank; ++i)
      if (rests_[0][i] != 1 && !(reached_ >> i & 1)) return false;
    return true;
  }

  // What is summed is what the mask lets through: no mask, no sum.
  bool masked_sums_fit() const {
    for (int i = 0; i < row_.inputs; ++i) {
      const SignatureOperand& input = row_.input(i);
      const bool there = i < static_cast<int>(in_.size()) && in_[static_cast<size_t>(i)].data;
      if (input.operand_type() == OperandType::mask && input.optional && !there)
        return out_.size() < 2 || !out_[1].data;
    }
    return true;
  }

  bool windows_fit() const {
    if (!facts_.windowed) return true;
    const int h = row_.find("H"), w = row_.find("W"), kh = row_.find("KH"), kw = row_.find("KW");
    return window_fits(facts_.rows, sizes_[h], windows_[h],
                       kh == kNoName ? facts_.rows.kernel : sizes_[kh]) &&
           window_fits(facts_.columns, sizes_[w], windows_[w],
                       kw == kNoName ? facts_.columns.kernel : sizes_[kw]);
  }

  // ---- What letters do not say ------------------------------------------------------------------

  bool own_fits() const {
    const Shape &x = in_[0].shape, &y = out_[0].shape;
    if (facts_.slices)
      return facts_.start >= 0 && int64_t{facts_.start} + y[facts_.axis] <= x[facts_.axis];
    if (facts_.perm != nullptr) {
      unsigned seen = 0;
      for (int i = 0; i < x.rank; ++i) {
        const int32_t p = facts_.perm[i];
        if (p < 0 || p >= x.rank || (seen >> p & 1) || y[i] != x[p]) return false;
        seen |= 1u << p;
      }
      return x.rank == y.rank;
    }
    if (facts_.reduces) {
      if (x.rank != y.rank || facts_.reduced < 0 || (facts_.reduced >> x.rank) != 0) return false;
      for (int i = 0; i < x.rank; ++i)
        if (y[i] != ((facts_.reduced >> i & 1) ? 1 : x[i])) return false;
      return true;
    }
    if (row_.input(0).any_shape) return x.elements() == y.elements();  // reshape
    if (!row_.input(0).many) return true;
    // concat: each input has a size of its own along the axis.
    int64_t total = 0;
    for (const Tensor& t : in_) total += t.shape[facts_.axis];
    return total == y[facts_.axis];
  }

  const Signature& row_;
  const AxisFacts& facts_;
  std::span<const Tensor> in_, out_;
  const DType real_;
  int32_t sizes_[kMaxNames + 1] = {}, windows_[kMaxNames + 1] = {};  // by name
  Shape rests_[2];                                                   // the free axes
  bool rests_known_[2] = {};
  uint32_t reached_ = 0;
  int alias_ = kNoName, aliased_ = kNoName;  // a name that is another one
};

}  // namespace

bool decode_attrs(Op op, std::span<const int32_t> ints, std::span<const double> reals,
                  void* attrs) {
  Decoder decoder{ints, reals};
  with_attrs_type(op, [&](auto type) {
    using A = decltype(type);
    static_assert(sizeof(A) <= kMaxAttrsBytes && std::is_trivially_copyable_v<A>);
    A* decoded = new (attrs) A();
    decoded->visit(decoder);
  });
  return decoder.good && decoder.next_int == ints.size() && decoder.next_real == reals.size();
}

const char* check_step(Op op, const void* attrs, std::span<const Tensor> inputs,
                       std::span<const Tensor> outputs, DType real) {
  const OpInfo& info = op_info(op);
  if (static_cast<int>(inputs.size()) < info.required_inputs ||
      static_cast<int>(inputs.size()) > info.max_inputs)
    return "wrong number of inputs";
  if (outputs.empty() || static_cast<int>(outputs.size()) > info.max_outputs)
    return "wrong number of outputs";
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!inputs[i].data && !input_optional(op, static_cast<int>(i))) return "an input is missing";
  if (!outputs[0].data) return "output 0 is missing";
  const AxisFacts facts = axis_facts(op, attrs);
  Binding binding(signature(op), facts, inputs, outputs, real);
  if (!binding.types_fit()) return "a tensor has the wrong type";
  if (!binding.shapes_fit()) return "shapes or attributes do not fit together";
  return nullptr;
}

}  // namespace attune
