#include "engine/format/step_check.h"

#include <cmath>
#include <new>
#include <type_traits>

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

// A step under inspection: short names for the conditions below.
class Inspection {
 public:
  Inspection(std::span<const Tensor> in, std::span<const Tensor> out, DType real)
      : in_(in), out_(out), real_(real) {}

  bool has_in(size_t i) const { return i < in_.size() && in_[i].data != nullptr; }
  bool has_out(size_t i) const { return i < out_.size() && out_[i].data != nullptr; }
  const Shape& in(size_t i) const { return in_[i].shape; }
  const Shape& out(size_t i) const { return out_[i].shape; }

  bool real_in(size_t i) const { return in_[i].dtype == real_; }
  bool real_out(size_t i) const { return out_[i].dtype == real_; }
  // All present inputs and output 0 compute in the plan's real type.
  bool all_real() const {
    for (const Tensor& t : in_)
      if (t.data && t.dtype != real_) return false;
    return real_out(0);
  }
  // The inputs and output 0 share a type whose elements are whole bytes.
  bool one_type(size_t inputs) const {
    for (size_t i = 0; i < inputs; ++i)
      if (!has_in(i) || in_[i].dtype != out_[0].dtype) return false;
    return out_[0].dtype != DType::mask;
  }
  bool vector_in(size_t i, int32_t n) const { return is_vector(in_[i], real_, n); }
  bool optional_vector_in(size_t i, int32_t n) const { return !has_in(i) || vector_in(i, n); }
  bool int_vector_in(size_t i, int32_t n) const { return is_vector(in_[i], DType::i32, n); }
  // Optional output 1 is a bit for every element of output 0.
  bool mask_out() const {
    return !has_out(1) || (out_[1].dtype == DType::mask && out(1) == out(0));
  }
  // Output 0 is a bit for every element of input i.
  bool mask_of(size_t i) const { return out_[0].dtype == DType::mask && out(0) == in(i); }
  // Optional output 1 is a sum over all axes of output 0 but the last.
  bool sums_out() const {
    if (!has_out(1)) return true;
    Shape sum = out(0);
    for (int i = 0; i + 1 < sum.rank; ++i) sum[i] = 1;
    return real_out(1) && out(1) == sum;
  }
  // Of a gradient of an input: operands of the real type, then an optional mask of output 0; only
  // with a mask the sums.
  bool masked_grad() const {
    if (!real_in(0) || !real_in(1) || !real_out(0)) return false;
    if (!has_in(2)) return !has_out(1);
    return in_[2].dtype == DType::mask && in(2) == out(0) && sums_out();
  }
  bool same(const Shape& a, const Shape& b) const { return a == b; }

 private:
  static bool is_vector(const Tensor& t, DType dtype, int32_t n) {
    return t.data && t.dtype == dtype && t.shape.rank == 1 && t.shape[0] == n;
  }
  std::span<const Tensor> in_, out_;
  DType real_;
};

// Windows: out = (in + pads - dilation * (kernel - 1) - 1) / stride + 1, all of it in range.
template <class A>
bool window_fits(const A& a, int32_t in_h, int32_t in_w, int32_t out_h, int32_t out_w,
                 int32_t kernel_h, int32_t kernel_w) {
  constexpr int32_t kLimit = 1 << 20;
  for (int32_t field : {a.stride_h, a.stride_w, a.dilation_h, a.dilation_w, kernel_h, kernel_w})
    if (field < 1 || field > kLimit) return false;
  for (int32_t field : {a.pad_top, a.pad_left, a.pad_bottom, a.pad_right})
    if (field < 0 || field > kLimit) return false;
  // Sizes that the attributes state, must be the tensors'; zero states nothing.
  const auto differs = [](int32_t stated, int32_t actual) { return stated && stated != actual; };
  if (differs(a.input_h, in_h) || differs(a.input_w, in_w) || differs(a.kernel_h, kernel_h) ||
      differs(a.kernel_w, kernel_w))
    return false;
  const auto size = [](int64_t in, int64_t pad, int64_t dilation, int64_t kernel, int64_t stride) {
    const int64_t room = in + pad - dilation * (kernel - 1) - 1;
    return room < 0 ? int64_t{0} : room / stride + 1;
  };
  return size(in_h, int64_t{a.pad_top} + a.pad_bottom, a.dilation_h, kernel_h, a.stride_h) ==
             out_h &&
         size(in_w, int64_t{a.pad_left} + a.pad_right, a.dilation_w, kernel_w, a.stride_w) == out_w;
}

// x[N,H,W,C] and y[N,OH,OW,O] around a window.
template <class A>
bool images(const A& a, const Shape& x, const Shape& y, int32_t kernel_h, int32_t kernel_w) {
  return x.rank == 4 && y.rank == 4 && x[0] == y[0] &&
         window_fits(a, x[1], x[2], y[1], y[2], kernel_h, kernel_w);
}

// w[O,KH,KW,I] convolves x to y.
bool convolves(const Conv2dAttrs& a, const Shape& x, const Shape& w, const Shape& y) {
  return w.rank == 4 && images(a, x, y, w[1], w[2]) && a.groups >= 1 && x[3] % a.groups == 0 &&
         y[3] % a.groups == 0 && w[0] == y[3] && w[3] == x[3] / a.groups;
}

bool convolves_depthwise(const Conv2dAttrs& a, const Shape& x, const Shape& w, const Shape& y) {
  return w.rank == 3 && images(a, x, y, w[0], w[1]) && w[2] == x[3] && y[3] == x[3];
}

bool broadcasts(const Shape& from, const Shape& to) {
  if (from.rank > to.rank) return false;
  for (int i = 0; i < from.rank; ++i) {
    const int32_t d = from[i];
    if (d != 1 && d != to[to.rank - from.rank + i]) return false;
  }
  return true;
}

bool broadcasts_together(const Shape& a, const Shape& b, const Shape& y) {
  if (!broadcasts(a, y) || !broadcasts(b, y)) return false;
  for (int i = 0; i < y.rank; ++i) {
    const int ia = i - (y.rank - a.rank), ib = i - (y.rank - b.rank);
    const int32_t da = ia < 0 ? 1 : a[ia], db = ib < 0 ? 1 : b[ib];
    if (y[i] != (da == 1 ? db : da)) return false;
  }
  return true;
}

// Equal but along one axis.
bool equal_except(const Shape& a, const Shape& b, int axis) {
  if (a.rank != b.rank) return false;
  for (int i = 0; i < a.rank; ++i)
    if (i != axis && a[i] != b[i]) return false;
  return true;
}

bool axis_of(int32_t axis, const Shape& shape) { return axis >= 0 && axis < shape.rank; }

bool check_matmul(const MatmulAttrs& a, const Inspection& s) {
  const Shape &x = s.in(0), &w = s.in(1), &y = s.out(0);
  const int r = x.rank;
  if (r < 2 || w.rank != r || y.rank != r) return false;
  for (int i = 0; i < r - 2; ++i)
    if (x[i] != w[i] || x[i] != y[i]) return false;
  const int32_t m = a.transpose_a ? x[r - 1] : x[r - 2], k = a.transpose_a ? x[r - 2] : x[r - 1];
  const int32_t wk = a.transpose_b ? w[r - 1] : w[r - 2], n = a.transpose_b ? w[r - 2] : w[r - 1];
  return k == wk && y[r - 2] == m && y[r - 1] == n;
}

bool check_transpose(const TransposeAttrs& a, const Inspection& s) {
  if (s.in(0).rank != s.out(0).rank) return false;
  unsigned seen = 0;
  for (int i = 0; i < s.in(0).rank; ++i) {
    const int32_t p = a.perm[i];
    if (p < 0 || p >= s.in(0).rank || (seen >> p & 1) || s.out(0)[i] != s.in(0)[p]) return false;
    seen |= 1u << p;
  }
  return true;
}

bool check_concat(const AxisAttrs& a, const Inspection& s, size_t inputs) {
  if (!axis_of(a.axis, s.out(0))) return false;
  int64_t total = 0;
  for (size_t i = 0; i < inputs; ++i) {
    if (!s.has_in(i) || !equal_except(s.in(i), s.out(0), a.axis)) return false;
    total += s.in(i)[a.axis];
  }
  return total == s.out(0)[a.axis];
}

bool check_reduce(const ReduceAttrs& a, const Inspection& s) {
  if (s.in(0).rank != s.out(0).rank || a.axes < 0 || (a.axes >> s.in(0).rank) != 0) return false;
  for (int i = 0; i < s.in(0).rank; ++i)
    if (s.out(0)[i] != ((a.axes >> i & 1) ? 1 : s.in(0)[i])) return false;
  return true;
}

// w, dw, lr, indices?, then `slots` tensors of dw's shape.
bool check_update(int32_t axis, const Inspection& s, int slots) {
  const Shape &w = s.in(0), &dw = s.in(1);
  if (!s.real_in(0) || !s.real_in(1) || !s.vector_in(2, 1) || !(s.out(0) == w)) return false;
  // Kernels look the axis up whether or not there are indices; scalars have none.
  if (axis != 0 && !axis_of(axis, w)) return false;
  if (s.has_in(3)) {
    if (!axis_of(axis, w) || !equal_except(w, dw, axis) || !s.int_vector_in(3, dw[axis]))
      return false;
  } else if (!(w == dw)) {
    return false;
  }
  for (int i = 0; i < slots; ++i)
    if (!s.real_in(4 + i) || !(s.in(4 + i) == dw) || !s.has_out(1 + i) || !(s.out(1 + i) == dw))
      return false;
  return true;
}

bool check_shapes(Op op, const void* attrs, const Inspection& s, size_t inputs) {
  const auto conv = [&]() -> const Conv2dAttrs& { return *static_cast<const Conv2dAttrs*>(attrs); };
  const auto pool = [&]() -> const Pool2dAttrs& { return *static_cast<const Pool2dAttrs*>(attrs); };
  switch (op) {
    case Op::conv2d:
      return s.all_real() && convolves(conv(), s.in(0), s.in(1), s.out(0)) &&
             s.optional_vector_in(2, s.out(0)[3]) && s.mask_out();
    case Op::conv2d_grad_input:
      return s.masked_grad() && convolves(conv(), s.out(0), s.in(1), s.in(0));
    case Op::conv2d_grad_weight:
      return s.all_real() && convolves(conv(), s.in(0), s.out(0), s.in(1));
    case Op::depthwise_conv2d:
      return s.all_real() && convolves_depthwise(conv(), s.in(0), s.in(1), s.out(0)) &&
             s.optional_vector_in(2, s.out(0)[3]) && s.mask_out();
    case Op::depthwise_conv2d_grad_input:
      return s.masked_grad() && convolves_depthwise(conv(), s.out(0), s.in(1), s.in(0));
    case Op::depthwise_conv2d_grad_weight:
      return s.all_real() && convolves_depthwise(conv(), s.in(0), s.out(0), s.in(1));
    case Op::linear: {
      const Shape &x = s.in(0), &w = s.in(1), &y = s.out(0);
      return s.all_real() && x.rank == 2 && w.rank == 2 && y.rank == 2 && x[1] == w[1] &&
             y[0] == x[0] && y[1] == w[0] && s.optional_vector_in(2, y[1]) && s.mask_out();
    }
    case Op::matmul:
      return s.all_real() && check_matmul(*static_cast<const MatmulAttrs*>(attrs), s);
    case Op::batch_norm: {
      const int32_t c = s.in(0).last();
      return s.all_real() && s.in(0).rank >= 1 && s.in(0) == s.out(0) && s.vector_in(1, c) &&
             s.vector_in(2, c) && s.vector_in(3, c) && s.vector_in(4, c);
    }
    case Op::batch_norm_grad_input: {
      const int32_t c = s.in(0).last();
      return s.all_real() && s.in(0).rank >= 1 && s.in(0) == s.out(0) && s.vector_in(1, c) &&
             s.vector_in(2, c);
    }
    case Op::batch_norm_grad_gamma: {
      const int32_t c = s.in(0).last();
      return s.all_real() && s.in(0).rank >= 1 && s.in(0) == s.in(1) && s.vector_in(2, c) &&
             s.vector_in(3, c) && s.out(0) == Shape{c};
    }
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::div:
      return s.all_real() && broadcasts_together(s.in(0), s.in(1), s.out(0));
    case Op::scale:
    case Op::hard_swish:
    case Op::sigmoid:
    case Op::tanh:
    case Op::softmax:
      return s.all_real() && s.in(0) == s.out(0);
    case Op::clamp:
    case Op::hard_sigmoid:
      return s.all_real() && s.in(0) == s.out(0) && s.mask_out();
    case Op::clamp_mask:
      return s.real_in(0) && s.mask_of(0);
    case Op::mask_grad:
      return s.real_in(0) && s.real_out(0) && s.in(0) == s.out(0) && s.in(1) == s.in(0) &&
             s.sums_out();
    case Op::hard_swish_grad:
    case Op::sigmoid_grad:
    case Op::tanh_grad:
    case Op::softmax_grad:
      return s.all_real() && s.in(0) == s.out(0) && s.in(1) == s.in(0);
    case Op::max_pool2d:
      return s.all_real() && images(pool(), s.in(0), s.out(0), pool().kernel_h, pool().kernel_w) &&
             s.in(0)[3] == s.out(0)[3] && (!s.has_out(1) || s.out(1) == s.out(0));
    case Op::max_pool2d_grad:
      return s.real_in(0) && s.real_out(0) && s.in(1) == s.in(0) &&
             images(pool(), s.out(0), s.in(0), pool().kernel_h, pool().kernel_w) &&
             s.in(0)[3] == s.out(0)[3];
    case Op::avg_pool2d:
      return s.all_real() && images(pool(), s.in(0), s.out(0), pool().kernel_h, pool().kernel_w) &&
             s.in(0)[3] == s.out(0)[3];
    case Op::avg_pool2d_grad:
      return s.all_real() && images(pool(), s.out(0), s.in(0), pool().kernel_h, pool().kernel_w) &&
             s.in(0)[3] == s.out(0)[3];
    case Op::reduce:
      return s.all_real() && check_reduce(*static_cast<const ReduceAttrs*>(attrs), s);
    case Op::broadcast_to:
      return s.all_real() && broadcasts(s.in(0), s.out(0));
    case Op::reshape:
      return s.all_real() && s.in(0).elements() == s.out(0).elements();
    case Op::transpose:
      return s.all_real() && check_transpose(*static_cast<const TransposeAttrs*>(attrs), s);
    case Op::concat:
      return s.one_type(inputs) && check_concat(*static_cast<const AxisAttrs*>(attrs), s, inputs);
    case Op::slice: {
      const auto& a = *static_cast<const SliceAttrs*>(attrs);
      return s.one_type(inputs) && axis_of(a.axis, s.in(0)) &&
             equal_except(s.in(0), s.out(0), a.axis) && a.start >= 0 &&
             int64_t{a.start} + s.out(0)[a.axis] <= s.in(0)[a.axis];
    }
    case Op::gather: {
      const auto& a = *static_cast<const AxisAttrs*>(attrs);
      return s.real_in(0) && s.real_out(0) && axis_of(a.axis, s.in(0)) &&
             equal_except(s.in(0), s.out(0), a.axis) && s.int_vector_in(1, s.out(0)[a.axis]);
    }
    case Op::normalize:
      return s.in(0).rank >= 1 && s.in(0) == s.out(0) && s.vector_in(1, s.in(0).last()) &&
             s.vector_in(2, s.in(0).last()) && s.real_out(0);
    case Op::softmax_cross_entropy:
      return s.in(0).rank == 2 && s.real_in(0) && s.int_vector_in(1, s.in(0)[0]) &&
             s.vector_in(2, s.in(0)[0]) && s.out(0) == Shape{1} && s.real_out(0) &&
             (!s.has_out(1) || (s.out(1) == s.in(0) && s.real_out(1)));
    case Op::softmax_cross_entropy_grad:
      return s.in(0).rank == 2 && s.real_in(0) && s.int_vector_in(1, s.in(0)[0]) &&
             s.vector_in(2, s.in(0)[0]) && s.out(0) == s.in(0) && s.real_out(0);
    case Op::mean_squared_error:
      return s.all_real() && s.in(0).rank >= 1 && s.in(1) == s.in(0) &&
             s.vector_in(2, s.in(0)[0]) && s.out(0) == Shape{1};
    case Op::mean_squared_error_grad:
      return s.all_real() && s.in(0).rank >= 1 && s.in(1) == s.in(0) &&
             s.vector_in(2, s.in(0)[0]) && s.out(0) == s.in(0);
    case Op::count_correct:
      return s.in(0).rank == 2 && s.real_in(0) && s.int_vector_in(1, s.in(0)[0]) &&
             s.vector_in(2, s.in(0)[0]) && s.out(0) == Shape{1} && s.real_out(0);
    case Op::sgd:
      return check_update(static_cast<const SgdAttrs*>(attrs)->axis, s, 0);
    case Op::momentum:
      return check_update(static_cast<const MomentumAttrs*>(attrs)->axis, s, 1);
    case Op::adam:
      return check_update(static_cast<const AdamAttrs*>(attrs)->axis, s, 2) &&
             s.int_vector_in(6, 1);
  }
  return false;
}

// Inputs and outputs whose type is not the plan's real one.
bool check_types(Op op, std::span<const Tensor> in, std::span<const Tensor> out) {
  if (op == Op::mask_grad) return in[1].dtype == DType::mask;
  if (op == Op::max_pool2d_grad) return in[1].dtype == DType::i32;
  if (op == Op::max_pool2d) return out.size() < 2 || !out[1].data || out[1].dtype == DType::i32;
  if (op == Op::normalize) return in[0].dtype == DType::u8;
  return true;
}

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
  if (!check_types(op, inputs, outputs)) return "a tensor has the wrong type";
  if (!check_shapes(op, attrs, Inspection(inputs, outputs, real), inputs.size()))
    return "shapes, types or attributes do not fit together";
  return nullptr;
}

}  // namespace attune
