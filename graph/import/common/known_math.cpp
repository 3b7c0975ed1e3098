#include "graph/import/common/known_math.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>

#include "graph/import/common/element_type.h"
#include "graph/ir/error.h"
#include "graph/ir/perm.h"

namespace attune {
namespace {

int64_t checked_elements(const Dims& dims) {
  const int64_t n = count_elements(dims);
  if (n > kMaxComputedElements) throw_error("a constant of shape {} is too large", dims_text(dims));
  return n;
}

// A tensor under computation. Its elements, in the vector of their kind, become its data.
class Computed {
 public:
  Computed(ElementType type, const Dims& dims, bool derived) {
    tensor_.type = type;
    tensor_.dims = dims;
    tensor_.derived = derived;
    const auto n = static_cast<size_t>(checked_elements(dims));
    reals_.resize(tensor_.real() ? n : 0);
    ints_.resize(tensor_.real() ? 0 : n);
  }

  // Element i becomes a number, as the type holds it.
  template <class T>
  void set(size_t i, T number) {
    if (tensor_.real()) {
      reals_[i] = as_element(tensor_.type, static_cast<double>(number));
    } else if (tensor_.type == ElementType::boolean) {
      ints_[i] = number != 0;
    } else {
      // What no integer holds is the smallest, as processors convert it: an exporter may choose
      // another element where a logarithm was -infinity.
      const bool fits = !std::is_floating_point_v<T> || std::fabs(number) < 9e18;
      ints_[i] = as_element(
          tensor_.type, fits ? static_cast<int64_t>(number) : std::numeric_limits<int64_t>::min());
    }
  }

  KnownTensor done() {
    tensor_.data =
        tensor_.real() ? Data::of_reals(std::move(reals_)) : Data::of_ints(std::move(ints_));
    return std::move(tensor_);
  }

 private:
  KnownTensor tensor_;
  std::vector<double> reals_;
  std::vector<int64_t> ints_;
};

// Calls f with the elements of a tensor: doubles, or integers.
template <class F>
void with_elements(const KnownTensor& x, F&& f) {
  if (x.real())
    f(x.data->reals());
  else
    f(x.data->ints());
}

// With those of two tensors, which must be of one kind.
template <class F>
void with_elements(const KnownTensor& a, const KnownTensor& b, F&& f) {
  if (a.real() != b.real()) throw_error("an integer and a float tensor");
  if (a.real())
    f(a.data->reals(), b.data->reals());
  else
    f(a.data->ints(), b.data->ints());
}

template <class T, class F>
T bitwise(T a, T b, F f) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(f(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
  else
    throw_error("bits of floats");
}

template <class T>
T apply(Binary op, T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    const bool divides = op == Binary::div || op == Binary::mod;
    if (divides && b == 0) throw_error("division of {} by zero", a);
    if (divides && b == -1) return op == Binary::div ? apply(Binary::mul, a, b) : 0;
    T exact;
    if ((op == Binary::add && __builtin_add_overflow(a, b, &exact)) ||
        (op == Binary::sub && __builtin_sub_overflow(a, b, &exact)) ||
        (op == Binary::mul && __builtin_mul_overflow(a, b, &exact)))
      throw_error("integer overflow");
  }
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
      if constexpr (std::is_integral_v<T>)
        return a % b != 0 && (a % b < 0) != (b < 0) ? a % b + b : a % b;
      else
        return std::fmod(a, b);
    case Binary::min:
      return b < a || b != b ? b : a;
    case Binary::max:
      return a < b || b != b ? b : a;
    case Binary::bit_and:
      return bitwise(a, b, [](auto x, auto y) { return x & y; });
    case Binary::bit_or:
      return bitwise(a, b, [](auto x, auto y) { return x | y; });
    case Binary::bit_xor:
      return bitwise(a, b, [](auto x, auto y) { return x ^ y; });
    case Binary::shift_left:
      return bitwise(a, b, [](auto x, auto y) { return y < 64 ? x << y : 0; });
    case Binary::shift_right:
      return bitwise(a, b, [](auto x, auto y) { return y < 64 ? x >> y : 0; });
    case Binary::equal:
      return a == b;
    case Binary::less:
      return a < b;
    case Binary::less_or_equal:
      return a <= b;
    case Binary::greater:
      return a > b;
    case Binary::greater_or_equal:
      return a >= b;
    case Binary::logical_and:
      return a != 0 && b != 0;
    case Binary::logical_or:
      return a != 0 || b != 0;
    case Binary::logical_xor:
      return (a != 0) != (b != 0);
  }
  return 0;
}

template <class T>
T apply(Unary op, T x) {
  switch (op) {
    case Unary::logical_not:
      if (!std::is_integral_v<T>) throw_error("Not of floats");
      return x == 0;
    case Unary::bit_not:
      return bitwise(x, T{0}, [](auto bits, auto) { return ~bits; });
  }
  return 0;
}

// From `start` on, `delta` apart, before `limit`.
template <class T>
KnownTensor range_of(const KnownTensor& start, const KnownTensor& limit, const KnownTensor& delta) {
  const auto number = [](const KnownTensor& x) {
    T value;
    x.data->read(0, std::span(&value, 1));
    return value;
  };
  const T first = number(start), step = number(delta);
  if (step == 0) throw_error("a step of zero");
  const T distance = apply(Binary::sub, number(limit), first);
  T n = apply(Binary::div, distance, step);
  if constexpr (std::is_integral_v<T>)
    n += apply(Binary::mod, distance, step) != 0 && (distance < 0) == (step < 0);
  else
    n = std::ceil(n);
  if (!(n <= static_cast<T>(kMaxComputedElements))) throw_error("it is too long");
  const auto count = static_cast<int64_t>(std::max(n, T{0}));
  Computed y(start.type, {count}, is_trainable(start));
  for (int64_t i = 0; i < count; ++i)
    y.set(static_cast<size_t>(i), first + static_cast<T>(i) * step);
  return y.done();
}

}  // namespace

bool is_trainable(const KnownTensor& x) {
  const auto may_be = [](Mark mark) { return mark == Mark::none || mark == Mark::parameter; };
  return x.derived || (x.view && x.real() && may_be(x.view->mark));
}

KnownTensor computed(ElementType type, const Dims& dims, std::span<const double> numbers,
                     bool derived) {
  Computed y(type, dims, derived);
  for (size_t i = 0; i < numbers.size(); ++i) y.set(i, numbers[i]);
  return y.done();
}

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
  const bool compares = op >= Binary::equal;
  const Dims dims = broadcast_dims(a.dims, b.dims);
  Computed y(compares ? ElementType::boolean : a.type, dims, is_trainable(a) || is_trainable(b));
  with_elements(broadcast(a, dims), broadcast(b, dims), [&](const auto& p, const auto& q) {
    for (size_t i = 0; i < p.size(); ++i) y.set(i, apply(op, p[i], q[i]));
  });
  return y.done();
}

KnownTensor compute(Unary op, const KnownTensor& x) {
  Computed y(x.type, x.dims, is_trainable(x));
  with_elements(x, [&](const auto& from) {
    for (size_t i = 0; i < from.size(); ++i) y.set(i, apply(op, from[i]));
  });
  return y.done();
}

KnownTensor cast(const KnownTensor& x, ElementType type) {
  KnownTensor y = x;
  y.type = type;
  if (x.type == type) return y;
  const bool widens = x.real() && y.real() && element_bytes(type) > element_bytes(x.type);
  if (widens) return y;
  Computed converted(type, x.dims, is_trainable(x));
  with_elements(x, [&](const auto& from) {
    for (size_t i = 0; i < from.size(); ++i) converted.set(i, from[i]);
  });
  // A parameter in another precision is the same.
  if (!x.real() || !y.real() || !x.view) return converted.done();
  y.data = converted.done().data;
  return y;
}

KnownTensor where(const KnownTensor& condition, const KnownTensor& a, const KnownTensor& b) {
  if (condition.real()) throw_error("a condition of floats");
  const Dims dims = broadcast_dims(condition.dims, broadcast_dims(a.dims, b.dims));
  Computed y(a.type, dims, is_trainable(a) || is_trainable(b));
  const Dims chosen = broadcast(condition, dims).data->ints();
  with_elements(broadcast(a, dims), broadcast(b, dims), [&](const auto& p, const auto& q) {
    for (size_t i = 0; i < p.size(); ++i) y.set(i, chosen[i] != 0 ? p[i] : q[i]);
  });
  return y.done();
}

KnownTensor reshape(const KnownTensor& x, const Dims& dims) {
  if (count_elements(dims) != x.elements())
    throw_error("shape {} does not have the elements of {}", dims_text(dims), dims_text(x.dims));
  KnownTensor y = x;
  y.dims = dims;
  if (!x.view || x.dims == dims) return y;
  if (is_identity(x.view->perm)) {
    y.view->view_shape = dims;
    y.view->perm = identity_perm(static_cast<int>(dims.size()));
  } else {
    y.view.reset();
    y.derived = y.real();
  }
  return y;
}

KnownTensor transpose(const KnownTensor& x, const Perm& perm) {
  KnownTensor y = x;
  y.dims = permuted(x.dims, perm);
  y.data = x.data->permuted(x.dims, perm);
  if (x.view) y.view->perm = compose(x.view->perm, perm);
  return y;
}

KnownTensor tile(const KnownTensor& x, const Dims& counts) {
  // An axis [n] that repeats is [count, n] seen as one.
  Dims split, spread, dims;
  for (size_t i = 0; i < counts.size(); ++i) {
    split.insert(split.end(), {1, x.dims[i]});
    spread.insert(spread.end(), {counts[i], x.dims[i]});
    dims.push_back(count_elements({counts[i], x.dims[i]}));
  }
  return reshape(broadcast(reshape(x, split), spread), dims);
}

KnownTensor concat(const std::vector<KnownTensor>& parts, int axis) {
  Dims dims = parts[0].dims;
  dims[axis] = 0;
  bool derived = false;
  for (const KnownTensor& part : parts) {
    Dims expected = part.dims;
    if (part.type != parts[0].type || expected.size() != dims.size())
      throw_error("inputs of different types or ranks");
    expected[axis] = dims[axis];
    if (expected != dims) throw_error("inputs that differ in more than axis {}", axis);
    if (__builtin_add_overflow(dims[axis], part.dims[axis], &dims[axis]))
      throw_error("the axis is too long");
    derived = derived || is_trainable(part);
  }
  Computed y(parts[0].type, dims, derived);
  const int64_t inner = count_elements(Dims(dims.begin() + axis + 1, dims.end()));
  int64_t start = 0;
  for (const KnownTensor& part : parts) {
    const auto run = static_cast<size_t>(part.dims[axis] * inner);
    with_elements(part, [&](const auto& from) {
      for (size_t i = 0; i < from.size(); ++i)
        y.set(i / run * (dims[axis] * inner) + start + i % run, from[i]);
    });
    start += run;
  }
  return y.done();
}

KnownTensor gather(const KnownTensor& x, const KnownTensor& indices, int axis) {
  if (indices.real()) throw_error("indices that are floats");
  const int64_t size = x.dims[axis];
  Dims places = indices.data->ints();
  for (int64_t& place : places) {
    if (place < -size || place >= size) throw_error("index {} of an axis of {}", place, size);
    if (place < 0) place += size;
  }
  Dims dims(x.dims.begin(), x.dims.begin() + axis);
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  const Dims rest(x.dims.begin() + axis + 1, x.dims.end());
  dims.insert(dims.end(), rest.begin(), rest.end());
  Computed y(x.type, dims, is_trainable(x));
  const auto inner = static_cast<size_t>(count_elements(rest));
  with_elements(x, [&](const auto& from) {
    const auto n = static_cast<size_t>(count_elements(dims));
    for (size_t i = 0; i < n; ++i) {
      const size_t outer = i / inner / places.size(), place = places[i / inner % places.size()];
      y.set(i, from[(outer * size + place) * inner + i % inner]);
    }
  });
  return y.done();
}

KnownTensor scatter(const KnownTensor& x, const Dims& places, const KnownTensor& updates,
                    std::optional<Binary> op) {
  Computed y(x.type, x.dims, is_trainable(x) || is_trainable(updates));
  with_elements(x, updates, [&](auto all, const auto& given) {
    for (size_t i = 0; i < places.size(); ++i) {
      auto& element = all[static_cast<size_t>(places[i])];
      element = op ? apply(*op, element, given[i]) : given[i];
    }
    for (size_t i = 0; i < all.size(); ++i) y.set(i, all[i]);
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
  return start.real() ? range_of<double>(start, limit, delta)
                      : range_of<int64_t>(start, limit, delta);
}

KnownTensor cumsum(const KnownTensor& x, int axis, bool exclusive, bool reverse) {
  Computed y(x.type, x.dims, is_trainable(x));
  const auto inner =
      static_cast<size_t>(count_elements(Dims(x.dims.begin() + axis + 1, x.dims.end())));
  const auto size = static_cast<size_t>(x.dims[axis]);
  with_elements(x, [&](const auto& from) {
    for (size_t line = 0; size > 0 && line < from.size() / size; ++line) {
      typename std::decay_t<decltype(from)>::value_type sum = 0;
      for (size_t k = 0; k < size; ++k) {
        const size_t place = reverse ? size - 1 - k : k;
        const size_t at = line / inner * size * inner + place * inner + line % inner;
        const auto next = apply(Binary::add, sum, from[at]);
        y.set(at, exclusive ? sum : next);
        sum = next;
      }
    }
  });
  return y.done();
}

KnownTensor reduce_prod(const KnownTensor& x, const std::vector<bool>& axes, bool keep) {
  Dims dims;
  Perm perm, reduced;  // reduced axes go last
  for (size_t i = 0; i < x.dims.size(); ++i) {
    (axes[i] ? reduced : perm).push_back(static_cast<int>(i));
    if (keep || !axes[i]) dims.push_back(axes[i] ? 1 : x.dims[i]);
  }
  perm.insert(perm.end(), reduced.begin(), reduced.end());
  Computed y(x.type, dims, is_trainable(x));
  with_elements(transpose(x, perm), [&](const auto& from) {
    const int64_t products = count_elements(dims);
    auto next = from.begin();
    for (int64_t i = 0; i < products; ++i) {
      const auto end = next + static_cast<int64_t>(from.size()) / products;
      using T = std::decay_t<decltype(*next)>;
      y.set(static_cast<size_t>(i),
            std::accumulate(next, end, T{1}, [](T a, T b) { return apply(Binary::mul, a, b); }));
      next = end;
    }
  });
  return y.done();
}

KnownTensor dequantize(const KnownTensor& x, const KnownTensor& scale,
                       const KnownTensor* zero_point, int64_t axis, int64_t block) {
  if (x.real() || !scale.real() || (zero_point && zero_point->real()))
    throw_error("integers and a scale of floats are expected");
  const auto rank = static_cast<int64_t>(x.dims.size());
  const bool one = scale.elements() == 1;
  if (!one && (axis < -rank || axis >= rank)) throw_error("there is no axis {}", axis);
  const size_t along = one ? 0 : static_cast<size_t>(axis < 0 ? axis + rank : axis);
  Dims dims = scale.dims;
  if (!one) {
    dims = block > 0 ? x.dims : Dims{x.dims[along]};
    if (block > 0) dims[along] = (x.dims[along] + block - 1) / block;
  }
  if (scale.dims != dims || (zero_point && zero_point->elements() != scale.elements()))
    throw_error("a scale of shape {} of a tensor of shape {}", dims_text(scale.dims),
                dims_text(x.dims));
  const Dims numbers = x.data->ints(), zeros = zero_point ? zero_point->data->ints() : Dims();
  const std::vector<double> scales = scale.data->reals();
  const auto inner = one ? 1 : count_elements(Dims(x.dims.begin() + along + 1, x.dims.end()));
  Computed y(scale.type, x.dims, false);
  for (size_t i = 0; i < numbers.size(); ++i) {
    int64_t at = 0;
    if (!one) {
      const auto place = static_cast<int64_t>(i);
      const int64_t outer = place / inner / x.dims[along], k = place / inner % x.dims[along];
      at = block > 0 ? (outer * dims[along] + k / block) * inner + place % inner : k;
    }
    const int64_t steps = numbers[i] - (zero_point ? zeros[at] : 0);
    y.set(i, static_cast<double>(steps) * scales[at]);
  }
  return y.done();
}

KnownTensor vector_of(Dims values) {
  KnownTensor y;
  y.dims = {static_cast<int64_t>(values.size())};
  y.data = Data::of_ints(std::move(values));
  return y;
}

}  // namespace attune
