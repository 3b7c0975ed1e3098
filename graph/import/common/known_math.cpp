#include "graph/import/common/known_math.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/ir/error.h"

namespace attune {
namespace {

int64_t wrap(ElementType type, int64_t value) {
  switch (type) {
    case ElementType::u8:
      return static_cast<uint8_t>(value);
    case ElementType::i8:
      return static_cast<int8_t>(value);
    case ElementType::u16:
      return static_cast<uint16_t>(value);
    case ElementType::i16:
      return static_cast<int16_t>(value);
    case ElementType::i32:
      return static_cast<int32_t>(value);
    case ElementType::u32:
      return static_cast<uint32_t>(value);
    case ElementType::boolean:
      return value != 0;
    default:
      return value;
  }
}

// To the nearest half, ties to even.
double rounded_to_half(double value) {
  if (!std::isfinite(value)) return value;
  const double magnitude = std::max(std::fabs(value), 0x1p-14);
  const double unit = std::ldexp(1, std::ilogb(magnitude) - 10);
  const double half = std::nearbyint(value / unit) * unit;
  return std::fabs(half) > 65504 ? std::copysign(HUGE_VAL, value) : half;
}

double rounded(ElementType type, double value) {
  if (type == ElementType::f16) return rounded_to_half(value);
  return type == ElementType::f64 ? value : static_cast<float>(value);
}

int64_t checked_elements(const Dims& dims) {
  const int64_t n = count_elements(dims);
  if (n > kMaxComputedElements) throw_error("a constant of shape {} is too large", dims_text(dims));
  return n;
}

// A tensor under computation. Its elements, in the vector of their kind, become its data.
struct Computed {
  KnownTensor tensor;
  std::vector<double> reals;
  std::vector<int64_t> ints;

  KnownTensor done() {
    tensor.data = tensor.real() ? Data::of_reals(std::move(reals)) : Data::of_ints(std::move(ints));
    return std::move(tensor);
  }
};

// Whether what is computed from a tensor is computed from the contents of an initializer.
bool is_trainable(const KnownTensor& x) { return x.derived || (x.view && x.real()); }

Computed computed_from(const KnownTensor& x, ElementType type, Dims dims) {
  Computed y;
  y.tensor.type = type;
  y.tensor.dims = std::move(dims);
  y.tensor.derived = is_trainable(x);
  const size_t n = static_cast<size_t>(checked_elements(y.tensor.dims));
  if (y.tensor.real())
    y.reals.resize(n);
  else
    y.ints.resize(n);
  return y;
}

// Calls f(to, from) for the elements of both, which are of one kind.
template <class F>
void each_data(Computed& y, const KnownTensor& x, F&& f) {
  if (x.real())
    f(y.reals, x.data->reals());
  else
    f(y.ints, x.data->ints());
}

double apply(Binary op, double a, double b) {
  switch (op) {
    case Binary::add:
      return a + b;
    case Binary::sub:
      return a - b;
    case Binary::mul:
      return a * b;
    case Binary::div:
      return a / b;
    case Binary::mod:
      return std::fmod(a, b);
    case Binary::min:
      return std::min(a, b);
    case Binary::max:
      return std::max(a, b);
    case Binary::equal:
      return a == b;
    case Binary::less:
      return a < b;
    case Binary::greater:
      return a > b;
  }
  return 0;
}

int64_t apply(Binary op, int64_t a, int64_t b) {
  const bool divides = op == Binary::div || op == Binary::mod;
  if (divides && b == 0) throw_error("division of {} by zero", a);
  if (divides && b == -1) return op == Binary::div ? apply(Binary::sub, int64_t{0}, a) : 0;
  int64_t y = 0;
  bool overflow = false;
  switch (op) {
    case Binary::add:
      overflow = __builtin_add_overflow(a, b, &y);
      break;
    case Binary::sub:
      overflow = __builtin_sub_overflow(a, b, &y);
      break;
    case Binary::mul:
      overflow = __builtin_mul_overflow(a, b, &y);
      break;
    case Binary::div:
      return a / b;
    case Binary::mod:
      return a % b != 0 && (a % b < 0) != (b < 0) ? a % b + b : a % b;
    case Binary::min:
      return std::min(a, b);
    case Binary::max:
      return std::max(a, b);
    case Binary::equal:
      return a == b;
    case Binary::less:
      return a < b;
    case Binary::greater:
      return a > b;
  }
  if (overflow) throw_error("integer overflow");
  return y;
}

}  // namespace

Dims broadcast_dims(const Dims& a, const Dims& b) {
  const size_t rank = std::max(a.size(), b.size());
  Dims dims(rank);
  for (size_t i = 0; i < rank; ++i) {
    const int64_t da = i < rank - a.size() ? 1 : a[i - (rank - a.size())];
    const int64_t db = i < rank - b.size() ? 1 : b[i - (rank - b.size())];
    if (da != db && da != 1 && db != 1)
      throw_error("shapes {} and {} do not broadcast", dims_text(a), dims_text(b));
    dims[i] = da == 1 ? db : da;
  }
  return dims;
}

KnownTensor broadcast(const KnownTensor& x, const Dims& dims) {
  if (x.dims == dims) return x;
  if (broadcast_dims(x.dims, dims) != dims)
    throw_error("shape {} does not broadcast to {}", dims_text(x.dims), dims_text(dims));
  checked_elements(dims);
  KnownTensor y;
  y.type = x.type;
  y.dims = dims;
  y.derived = is_trainable(x);
  y.data = x.data->broadcast(x.dims, dims);
  return y;
}

KnownTensor compute(Binary op, const KnownTensor& a, const KnownTensor& b) {
  if (a.real() != b.real()) throw_error("an integer and a float tensor");
  const bool compares = op == Binary::equal || op == Binary::less || op == Binary::greater;
  const Dims dims = broadcast_dims(a.dims, b.dims);
  checked_elements(dims);
  const KnownTensor wide_a = broadcast(a, dims), wide_b = broadcast(b, dims);
  Computed y = computed_from(wide_a, compares ? ElementType::boolean : a.type, dims);
  y.tensor.derived = y.tensor.derived || is_trainable(wide_b);
  if (!a.real()) {
    const auto p = wide_a.data->ints(), q = wide_b.data->ints();
    for (size_t i = 0; i < p.size(); ++i) y.ints[i] = wrap(y.tensor.type, apply(op, p[i], q[i]));
  } else {
    const auto p = wide_a.data->reals(), q = wide_b.data->reals();
    for (size_t i = 0; i < p.size(); ++i) {
      const double result = apply(op, p[i], q[i]);
      if (compares)
        y.ints[i] = result != 0;
      else
        y.reals[i] = rounded(y.tensor.type, result);
    }
  }
  return y.done();
}

KnownTensor compute(Unary op, const KnownTensor& x) {
  Computed y = computed_from(x, x.type, x.dims);
  const auto reals = x.data->reals();
  for (size_t i = 0; i < reals.size(); ++i) {
    const double v = reals[i];
    double result = v;
    switch (op) {
      case Unary::neg:
        result = -v;
        break;
      case Unary::abs:
        result = std::fabs(v);
        break;
      case Unary::sqrt:
        result = std::sqrt(v);
        break;
      case Unary::floor:
        result = std::floor(v);
        break;
      case Unary::ceil:
        result = std::ceil(v);
        break;
      case Unary::logical_not:
        throw_error("Not of floats");
    }
    y.reals[i] = rounded(y.tensor.type, result);
  }
  const auto ints = x.data->ints();
  for (size_t i = 0; i < ints.size(); ++i) {
    const int64_t v = ints[i];
    const bool negates = op == Unary::neg || (op == Unary::abs && v < 0);
    int64_t result = negates ? apply(Binary::sub, int64_t{0}, v) : v;
    if (op == Unary::logical_not) result = v == 0;
    if (op == Unary::sqrt) throw_error("Sqrt of integers");
    y.ints[i] = wrap(y.tensor.type, result);
  }
  return y.done();
}

KnownTensor cast(const KnownTensor& x, ElementType type) {
  if (x.type == type) return x;
  if (x.real() && is_real(type) && element_bytes(type) > element_bytes(x.type)) {
    KnownTensor wider = x;
    wider.type = type;
    return wider;
  }
  Computed y = computed_from(x, type, x.dims);
  if (x.real() && y.tensor.real() && x.view) {  // a parameter in another precision is the same
    y.tensor.view = x.view;
    y.tensor.derived = x.derived;
  }
  const auto reals = x.data->reals();
  for (size_t i = 0; i < reals.size(); ++i) {
    const double v = reals[i];
    if (y.tensor.real()) {
      y.reals[i] = rounded(type, v);
    } else if (type == ElementType::boolean) {
      y.ints[i] = v != 0;
    } else {
      if (!(std::fabs(v) < 9e18)) throw_error("{} does not fit into an integer", v);
      y.ints[i] = wrap(type, static_cast<int64_t>(v));
    }
  }
  const auto ints = x.data->ints();
  for (size_t i = 0; i < ints.size(); ++i) {
    if (y.tensor.real())
      y.reals[i] = rounded(type, static_cast<double>(ints[i]));
    else
      y.ints[i] = wrap(type, ints[i]);
  }
  return y.done();
}

KnownTensor where(const KnownTensor& condition, const KnownTensor& a, const KnownTensor& b) {
  if (a.real() != b.real()) throw_error("an integer and a float tensor");
  if (condition.real()) throw_error("a condition of floats");
  const Dims dims = broadcast_dims(condition.dims, broadcast_dims(a.dims, b.dims));
  checked_elements(dims);
  const auto chosen = broadcast(condition, dims).data->ints();
  const KnownTensor wide_a = broadcast(a, dims), wide_b = broadcast(b, dims);
  Computed y = computed_from(wide_a, a.type, dims);
  y.tensor.derived = y.tensor.derived || is_trainable(wide_b);
  const auto choose = [&](auto& to, const auto& from, bool where_true) {
    for (size_t i = 0; i < to.size(); ++i)
      if ((chosen[i] != 0) == where_true) to[i] = from[i];
  };
  each_data(y, wide_a, [&](auto& to, const auto& from) { choose(to, from, true); });
  each_data(y, wide_b, [&](auto& to, const auto& from) { choose(to, from, false); });
  return y.done();
}

KnownTensor reshape(const KnownTensor& x, const Dims& dims) {
  if (count_elements(dims) != x.elements())
    throw_error("shape {} does not have the elements of {}", dims_text(dims), dims_text(x.dims));
  KnownTensor y = x;
  y.dims = dims;
  if (!x.view || x.dims == dims) return y;
  std::vector<int> straight(x.view->perm.size());
  for (size_t i = 0; i < straight.size(); ++i) straight[i] = static_cast<int>(i);
  if (x.view->perm == straight) {
    y.view->view_shape = dims;
    y.view->perm.resize(dims.size());
    for (size_t i = 0; i < dims.size(); ++i) y.view->perm[i] = static_cast<int>(i);
  } else {
    y.view.reset();
    y.derived = y.real();
  }
  return y;
}

KnownTensor transpose(const KnownTensor& x, const std::vector<int>& perm) {
  Dims dims;
  for (int axis : perm) dims.push_back(x.dims[axis]);
  KnownTensor y = x;
  y.dims = dims;
  y.data = x.data->permuted(x.dims, perm);
  if (x.view)
    for (size_t i = 0; i < perm.size(); ++i) y.view->perm[i] = x.view->perm[perm[i]];
  return y;
}

KnownTensor concat(const std::vector<KnownPtr>& parts, int axis) {
  Dims dims = parts[0]->dims;
  dims[axis] = 0;
  bool derived = false;
  for (const KnownPtr& part : parts) {
    Dims expected = part->dims;
    if (part->type != parts[0]->type || expected.size() != dims.size())
      throw_error("inputs of different types or ranks");
    expected[axis] = dims[axis];
    if (expected != dims) throw_error("inputs that differ in more than axis {}", axis);
    if (__builtin_add_overflow(dims[axis], part->dims[axis], &dims[axis]))
      throw_error("the axis is too long");
    derived = derived || is_trainable(*part);
  }
  Computed y = computed_from(*parts[0], parts[0]->type, dims);
  y.tensor.derived = derived;
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= dims[i];
  for (size_t i = axis + 1; i < dims.size(); ++i) inner *= dims[i];
  int64_t start = 0;
  for (const KnownPtr& part : parts) {
    const int64_t run = part->dims[axis] * inner;
    each_data(y, *part, [&](auto& to, const auto& from) {
      for (int64_t i = 0; i < outer && run > 0; ++i)
        std::copy_n(from.begin() + i * run, run, to.begin() + i * dims[axis] * inner + start);
    });
    start += run;
  }
  return y.done();
}

KnownTensor gather(const KnownTensor& x, const KnownTensor& indices, int axis) {
  if (indices.real()) throw_error("indices that are floats");
  Dims dims(x.dims.begin(), x.dims.begin() + axis);
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  dims.insert(dims.end(), x.dims.begin() + axis + 1, x.dims.end());
  Computed y = computed_from(x, x.type, dims);
  const auto places = indices.data->ints();
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= x.dims[i];
  for (size_t i = axis + 1; i < x.dims.size(); ++i) inner *= x.dims[i];
  each_data(y, x, [&](auto& to, const auto& from) {
    auto out = to.begin();
    for (int64_t i = 0; i < outer && !to.empty(); ++i)
      for (int64_t index : places) {
        if (index < -x.dims[axis] || index >= x.dims[axis])
          throw_error("index {} of an axis of {}", index, x.dims[axis]);
        if (index < 0) index += x.dims[axis];
        out = std::copy_n(from.begin() + (i * x.dims[axis] + index) * inner, inner, out);
      }
  });
  return y.done();
}

KnownTensor slice(const KnownTensor& x, int axis, int64_t start, int64_t count, int64_t step) {
  Dims indices(count);
  for (int64_t i = 0; i < count; ++i) indices[i] = start + i * step;
  return gather(x, vector_of(std::move(indices)), axis);
}

KnownTensor range(const KnownTensor& start, const KnownTensor& limit, const KnownTensor& delta) {
  if (start.type != limit.type || start.type != delta.type || start.elements() != 1 ||
      limit.elements() != 1 || delta.elements() != 1)
    throw_error("its inputs are not three numbers of one type");
  const auto bound = [&](double n) {
    if (!(n <= static_cast<double>(kMaxComputedElements))) throw_error("it is too long");
    return n > 0 ? static_cast<int64_t>(n) : 0;
  };
  if (start.real()) {
    const double a = scalar(start), d = scalar(delta);
    if (d == 0) throw_error("a step of zero");
    Computed y = computed_from(start, start.type, {bound(std::ceil((scalar(limit) - a) / d))});
    for (size_t i = 0; i < y.reals.size(); ++i)
      y.reals[i] = rounded(y.tensor.type, a + static_cast<double>(i) * d);
    return y.done();
  }
  const int64_t a = start.data->ints()[0], d = delta.data->ints()[0];
  if (d == 0) throw_error("a step of zero");
  const int64_t distance = apply(Binary::sub, limit.data->ints()[0], a);
  int64_t n = apply(Binary::div, distance, d);
  if (n >= 0 && n * d != distance && (distance < 0) == (d < 0)) ++n;
  Computed y = computed_from(start, start.type, {bound(static_cast<double>(n))});
  for (size_t i = 0; i < y.ints.size(); ++i) y.ints[i] = a + static_cast<int64_t>(i) * d;
  return y.done();
}

KnownTensor reduce_prod(const KnownTensor& x, const std::vector<bool>& axes, bool keep) {
  Dims kept, dims;
  for (size_t i = 0; i < x.dims.size(); ++i) {
    kept.push_back(axes[i] ? 1 : x.dims[i]);
    if (keep || !axes[i]) dims.push_back(kept.back());
  }
  Computed y = computed_from(x, x.type, kept);
  std::fill(y.reals.begin(), y.reals.end(), 1);
  std::fill(y.ints.begin(), y.ints.end(), 1);
  each_data(y, x, [&](auto& to, const auto& from) {
    for (size_t i = 0; i < from.size(); ++i) {
      int64_t rest = static_cast<int64_t>(i), at = 0, step = 1;
      for (int a = static_cast<int>(kept.size()) - 1; a >= 0; --a) {
        at += (rest % x.dims[a]) * (axes[a] ? 0 : step);
        rest /= x.dims[a];
        step *= kept[a];
      }
      to[at] = apply(Binary::mul, to[at], from[i]);
    }
  });
  y.tensor.dims = dims;
  return y.done();
}

KnownTensor filled(const Dims& dims, const KnownTensor& value) {
  if (value.elements() != 1) throw_error("a value of shape {}", dims_text(value.dims));
  Computed y = computed_from(value, value.type, dims);
  each_data(y, value, [](auto& to, const auto& from) { std::fill(to.begin(), to.end(), from[0]); });
  return y.done();
}

KnownTensor vector_of(Dims values) {
  KnownTensor y;
  y.dims = {static_cast<int64_t>(values.size())};
  y.data = Data::of_ints(std::move(values));
  return y;
}

}  // namespace attune
