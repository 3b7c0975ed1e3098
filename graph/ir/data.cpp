#include "graph/ir/data.h"

#include <Eigen/Core>
#include <cstring>
#include <utility>

namespace attune {
namespace {

size_t element_bytes(Data::Type type) {
  switch (type) {
    case Data::Type::f16:
      return 2;
    case Data::Type::f32:
      return 4;
    case Data::Type::f64:
    case Data::Type::i64:
      return 8;
  }
  return 0;
}

template <class T>
DataPtr owning(Data::Type type, std::vector<T> elements) {
  auto owner = std::make_shared<const std::vector<T>>(std::move(elements));
  const size_t size = owner->size() * sizeof(T) / element_bytes(type);
  const T* bytes = owner->data();
  return Data::view(type, bytes, size, std::move(owner));
}

}  // namespace

DataPtr Data::of_reals(std::vector<double> reals) { return owning(Type::f64, std::move(reals)); }
DataPtr Data::of_ints(std::vector<int64_t> ints) { return owning(Type::i64, std::move(ints)); }

DataPtr Data::view(Type type, const void* bytes, size_t size, std::shared_ptr<const void> owner) {
  auto data = std::make_shared<Data>();
  data->type_ = type;
  data->size_ = size;
  data->bytes_ = static_cast<const std::byte*>(bytes);
  data->owner_ = std::move(owner);
  data->add_axis(static_cast<int64_t>(size), 1);
  return data;
}

DataPtr Data::copy(Type type, const void* bytes, size_t size) {
  const auto* from = static_cast<const std::byte*>(bytes);
  return owning(type, std::vector<std::byte>(from, from + size * element_bytes(type)));
}

void Data::add_axis(int64_t size, int64_t stride) {
  if (size == 1) return;
  if (!axes_.empty() && axes_.back().stride == size * stride)
    axes_.back() = {axes_.back().size * size, stride};
  else
    axes_.push_back({size, stride});
}

// Strides of axes of these sizes, which have all elements, or nothing where an axis would run over
// the end of one that there is.
std::optional<std::vector<int64_t>> Data::strides_of(const std::vector<int64_t>& dims) const {
  std::vector<int64_t> strides(dims.size(), 0);
  size_t axis = axes_.size();
  int64_t rest = 1, stride = 0;
  for (size_t i = dims.size(); i-- > 0;) {
    if (dims[i] == 1) continue;
    if (rest == 1) rest = axes_[--axis].size, stride = axes_[axis].stride;
    if (rest % dims[i] != 0) return std::nullopt;
    strides[i] = stride;
    stride *= dims[i];
    rest /= dims[i];
  }
  return strides;
}

// The same elements as bytes of their own, one after the other.
DataPtr Data::in_order() const {
  if (!is_real()) return of_ints(ints());
  if (!factors_.empty() || type_ == Type::f64) return of_reals(reals());
  std::vector<float> narrow(size_);
  each_block([&](size_t first, std::span<const double> block) {
    std::transform(block.begin(), block.end(), narrow.begin() + static_cast<ptrdiff_t>(first),
                   [](double x) { return static_cast<float>(x); });
  });
  return owning(Type::f32, std::move(narrow));
}

DataPtr Data::permuted(const std::vector<int64_t>& dims, const std::vector<int>& perm) const {
  auto result = std::make_shared<Data>(*this);
  if (size_ == 0) return result;
  const auto strides = factors_.empty() ? strides_of(dims) : std::nullopt;
  if (!strides) return in_order()->permuted(dims, perm);
  result->axes_.clear();
  for (const int axis : perm)
    result->add_axis(dims[static_cast<size_t>(axis)], (*strides)[static_cast<size_t>(axis)]);
  return result;
}

DataPtr Data::broadcast(const std::vector<int64_t>& dims, const std::vector<int64_t>& to) const {
  auto result = std::make_shared<Data>(*this);
  if (size_ == 0) return result;
  const auto strides = factors_.empty() ? strides_of(dims) : std::nullopt;
  if (!strides) return in_order()->broadcast(dims, to);
  result->size_ = 1;
  result->axes_.clear();
  const size_t missing = to.size() - dims.size();
  for (size_t i = 0; i < to.size(); ++i) {
    const bool repeats = i < missing || dims[i - missing] == 1;
    result->size_ *= static_cast<size_t>(to[i]);
    result->add_axis(to[i], repeats ? 0 : (*strides)[i - missing]);
  }
  return result;
}

DataPtr Data::scaled(std::vector<double> factors, size_t run) const {
  if (!factors_.empty()) return in_order()->scaled(std::move(factors), run);
  auto result = std::make_shared<Data>(*this);
  result->factors_ = std::move(factors);
  result->run_ = run;
  return result;
}

template <class From, class T>
void Data::read_as(size_t first, std::span<T> out) const {
  if (out.empty()) return;
  std::vector<int64_t> index(axes_.size());
  auto rest = static_cast<int64_t>(first);
  int64_t at = 0;
  for (size_t i = axes_.size(); i-- > 0;) {
    index[i] = rest % axes_[i].size;
    rest /= axes_[i].size;
    at += index[i] * axes_[i].stride;
  }
  const auto element = [&](int64_t place) {
    From from;
    std::memcpy(&from, bytes_ + static_cast<size_t>(place) * sizeof(From), sizeof(From));
    return static_cast<T>(from);
  };
  for (size_t done = 0; done < out.size();) {
    if (axes_.empty()) {
      out[done++] = element(0);
      continue;
    }
    // As far along the innermost axis as it goes.
    const Axis& inner = axes_.back();
    const auto count = static_cast<size_t>(
        std::min<int64_t>(inner.size - index.back(), static_cast<int64_t>(out.size() - done)));
    if (inner.stride == 1)
      for (size_t i = 0; i < count; ++i) out[done + i] = element(at + static_cast<int64_t>(i));
    else
      for (size_t i = 0; i < count; ++i)
        out[done + i] = element(at + static_cast<int64_t>(i) * inner.stride);
    done += count;
    index.back() += static_cast<int64_t>(count);
    at += static_cast<int64_t>(count) * inner.stride;
    for (size_t i = axes_.size() - 1; i > 0 && index[i] == axes_[i].size; --i) {
      at += axes_[i - 1].stride - axes_[i].size * axes_[i].stride;
      index[i] = 0;
      ++index[i - 1];
    }
  }
}

void Data::read(size_t first, std::span<double> out) const {
  switch (type_) {
    case Type::f16:
      read_as<Eigen::half>(first, out);
      break;
    case Type::f32:
      read_as<float>(first, out);
      break;
    case Type::f64:
      read_as<double>(first, out);
      break;
    case Type::i64:
      return read_as<int64_t>(first, out);
  }
  if (factors_.empty()) return;
  size_t factor = first / run_ % factors_.size(), left = run_ - first % run_;
  for (double& x : out) {
    x *= factors_[factor];
    if (--left > 0) continue;
    left = run_;
    if (++factor == factors_.size()) factor = 0;
  }
}

void Data::read(size_t first, std::span<int64_t> out) const {
  if (type_ == Type::i64) read_as<int64_t>(first, out);
}

std::vector<double> Data::reals() const {
  std::vector<double> reals(is_real() ? size_ : 0);
  read(0, reals);
  return reals;
}

std::vector<int64_t> Data::ints() const {
  std::vector<int64_t> ints(is_real() ? 0 : size_);
  read(0, ints);
  return ints;
}

bool Data::same_view(const Data& other) const {
  return bytes_ == other.bytes_ && type_ == other.type_ && axes_ == other.axes_ &&
         factors_ == other.factors_ && run_ == other.run_;
}

}  // namespace attune
