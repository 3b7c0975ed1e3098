#include "tests/support/compiled_plan.h"

#include <algorithm>
#include <cstring>

#include "engine/format/plan_tensor.h"
#include "graph/ir/error.h"

namespace attune::test {
namespace {

Shape shape_of(const format::Parameter& parameter) {
  Shape shape;
  for (int32_t d : list_of(parameter.shape())) shape.dims[shape.rank++] = d;
  return shape;
}

// Calls f(element of the whole, its channel's place in the slice or -1) in order.
template <class F>
void for_elements(const format::Parameter& parameter, F&& f) {
  const Shape shape = shape_of(parameter);
  const int axis = parameter.slice_axis();
  if (axis < 0) {
    for (int64_t i = 0; i < shape.elements(); ++i) f(i, 0);
    return;
  }
  std::vector<int> place(static_cast<size_t>(shape[axis]), -1);
  const auto slice = list_of(parameter.slice());
  for (size_t k = 0; k < slice.size(); ++k)
    place[static_cast<size_t>(slice[k])] = static_cast<int>(k);
  const int64_t inner = shape.product(axis + 1, shape.rank);
  for (int64_t i = 0; i < shape.elements(); ++i)
    f(i, place[static_cast<size_t>(i / inner % shape[axis])]);
}

}  // namespace

void require(const Status& status) {
  if (!status) throw_error("{}", status.message());
}

CompiledPlan::CompiledPlan(Compiled compiled) {
  contents_ = std::move(compiled.contents);
  compiled_ = std::move(compiled.plan);
  const size_t rounded = (compiled_.size() + kSegmentAlignment - 1) / kSegmentAlignment;
  bytes_.reset(
      static_cast<std::byte*>(std::aligned_alloc(kSegmentAlignment, rounded * kSegmentAlignment)));
  std::memcpy(bytes_.get(), compiled_.data(), compiled_.size());
  require(Plan::from_memory({bytes_.get(), compiled_.size()}, "plan", &plan_));
}

std::unique_ptr<Session> CompiledPlan::session(const SessionOptions& options) const {
  std::unique_ptr<Session> session;
  require(Session::create(plan_, options, &session));
  return session;
}

bool CompiledPlan::intact() const {
  return std::memcmp(bytes_.get(), compiled_.data(), compiled_.size()) == 0;
}

std::vector<const format::Parameter*> CompiledPlan::parameters() const {
  std::vector<const format::Parameter*> result;
  for (const format::Parameter* parameter : *plan_.table().parameters())
    result.push_back(parameter);
  return result;
}

const format::Parameter* CompiledPlan::parameter(const std::string& name) const {
  for (const format::Parameter* parameter : parameters())
    if (parameter->name()->str() == name) return parameter;
  return nullptr;
}

std::vector<double> reals_of(const Tensor& tensor) {
  const auto count = static_cast<size_t>(tensor.shape.elements());
  if (tensor.dtype == DType::f64) return {tensor.as<double>(), tensor.as<double>() + count};
  return {tensor.as<float>(), tensor.as<float>() + count};
}

std::vector<double> in_model_order(const format::Parameter& parameter, const Tensor& tensor) {
  const std::vector<double> ours = reals_of(tensor);
  const Shape& shape = tensor.shape;
  // Of our axis i, in the model's order.
  int64_t stride[kMaxRank] = {};
  int64_t next = 1;
  for (int axis = shape.rank - 1; axis >= 0; --axis)
    for (int i = 0; i < shape.rank; ++i)
      if (parameter.perm()->Get(static_cast<unsigned>(i)) == axis) {
        stride[i] = next;
        next *= shape[i];
      }
  std::vector<double> result(ours.size());
  for (size_t flat = 0; flat < ours.size(); ++flat) {
    auto rest = static_cast<int64_t>(flat);
    int64_t to = 0;
    for (int i = shape.rank - 1; i >= 0; --i) {
      to += rest % shape[i] * stride[i];
      rest /= shape[i];
    }
    result[static_cast<size_t>(to)] = ours[flat];
  }
  return result;
}

WholeParameter::WholeParameter(const Plan& plan, std::span<const std::byte> state,
                               const format::Parameter& parameter) {
  dtype = static_cast<DType>(parameter.dtype());
  shape = shape_of(parameter);
  elements_.resize(bytes());
  data = elements_.data();
  const size_t size = dtype_bytes(dtype, 1);
  const std::byte* trained = state.data() + parameter.state_offset();
  const std::byte* frozen = plan.constants().data() + parameter.frozen_offset();
  std::byte* to = elements_.data();
  for_elements(parameter, [&](int64_t, int place) {
    const std::byte*& from = parameter.narrow() && place < 0 ? frozen : trained;
    std::memcpy(to, from, size);
    from += size, to += size;
  });
}

std::vector<double> trained_part(const format::Parameter& parameter, const Tensor& whole) {
  std::vector<double> elements = reals_of(whole), part;
  for_elements(parameter, [&](int64_t i, int place) {
    if (place >= 0) part.push_back(elements[static_cast<size_t>(i)]);
  });
  return part;
}

bool same_outside_slice(const format::Parameter& parameter, const Tensor& a, const Tensor& b) {
  const size_t bytes = dtype_bytes(a.dtype, 1);
  bool same = true;
  for_elements(parameter, [&](int64_t i, int place) {
    const size_t at = static_cast<size_t>(i) * bytes;
    if (place < 0 && std::memcmp(a.as<std::byte>() + at, b.as<std::byte>() + at, bytes) != 0)
      same = false;
  });
  return same;
}

}  // namespace attune::test
