// The model's inputs and outputs as ports: their shapes, and where they have the examples.
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cctype>

#include "graph/import/onnx/file/onnx_tensor.h"
#include "graph/import/onnx/importer.h"
#include "graph/ir/error.h"

namespace attune {
namespace {

constexpr int64_t kLikelyLength = 16, kLikelySize = 224;

const onnx::TensorShapeProto* shape_of(const onnx::ValueInfoProto& info) {
  const auto& type = info.type().tensor_type();
  return info.type().has_tensor_type() && type.has_shape() ? &type.shape() : nullptr;
}

// An example of the flag for an input: its known sizes, and likely ones for the others.
std::string shape_flag(const std::string& name, const onnx::TensorShapeProto* shape, int batch_axis,
                       int64_t batch) {
  std::string text;
  const int rank = shape == nullptr ? 4 : shape->dim_size();
  for (int i = 0; i < rank; ++i) {
    int64_t size = shape == nullptr ? 0 : shape->dim(i).dim_value();
    if (i == batch_axis) size = std::max<int64_t>(batch, 1);
    if (size < 1) size = i == 1 && rank == 4 ? 3 : kLikelySize;
    text += fmt::format("{}{}", i == 0 ? "" : "x", size);
  }
  return fmt::format("--input-shape {}:{}", name, text);
}

// How exporters and people call the axis of examples; "N" and "B" only beside other names.
bool is_batch_name(const std::string& name) {
  std::string lower;
  for (const char c : name) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower.find("batch") != std::string::npos || lower == "bs";
}
bool is_batch_letter(const std::string& name) {
  return name == "N" || name == "B" || name == "n" || name == "b";
}

// The order of axes that brings `axis` to the front, and back.
Perm to_front(int rank, int axis) {
  Perm perm = {axis};
  for (int i = 0; i < rank; ++i)
    if (i != axis) perm.push_back(i);
  return perm;
}

}  // namespace

// Of an input: what the user says, else the axis whose symbolic name says so, else the first.
int Importer::batch_axis(const onnx::ValueInfoProto& info, int rank) const {
  const auto& given = options_.bound.batch_axes;
  auto found = given.find(info.name());
  if (found == given.end()) found = given.find("");
  if (found != given.end()) {
    if (found->second < 0 || found->second >= rank)
      throw_error("{}: --batch-axis {}: input '{}' has {} axes, numbered from 0", path(),
                  found->second, info.name(), rank);
    return found->second;
  }
  const auto* shape = shape_of(info);
  if (shape == nullptr || shape->dim_size() != rank || rank < 2) return 0;
  const std::string& first = shape->dim(0).dim_param();
  if (is_batch_name(first) || is_batch_letter(first)) return 0;
  for (int i = 1; i < rank; ++i) {
    const std::string& name = shape->dim(i).dim_param();
    if (is_batch_name(name) || (is_batch_letter(name) && !first.empty())) return i;
  }
  return 0;
}

void Importer::add_inputs() {
  const auto& proto = model_.proto().graph();
  for (int i = 0; i < proto.input_size(); ++i)
    if (tensors_.at(proto.input(i).name()).known == nullptr) add_input(i);
  check_bindings();
}

// Everything that the user says of an input or axis is of one that there is.
void Importer::check_bindings() const {
  const auto& proto = model_.proto().graph();
  std::vector<std::string> inputs, names;
  for (const auto& info : proto.input()) {
    bool initializer = false;
    for (const auto& tensor : proto.initializer()) initializer |= tensor.name() == info.name();
    if (initializer) continue;
    inputs.push_back(fmt::format("'{}'", info.name()));
    for (int i = 0; shape_of(info) != nullptr && i < shape_of(info)->dim_size(); ++i)
      if (const std::string& name = shape_of(info)->dim(i).dim_param();
          !name.empty() && std::ranges::find(names, name) == names.end())
        names.push_back(name);
  }
  const auto is_input = [&](const std::string& name) {
    return std::ranges::find(inputs, fmt::format("'{}'", name)) != inputs.end();
  };
  for (const auto& [name, dims] : options_.input_shapes)
    if (graph.input(name) == kNone)
      throw_error("{}: there is no input '{}' to give a shape; its inputs are {}", path(), name,
                  fmt::join(inputs, " "));
  for (const auto& [name, given] : options_.bound.inputs)
    if (!is_input(name))
      throw_error("{}: --bind-input: there is no input '{}'; its inputs are {}", path(), name,
                  fmt::join(inputs, " "));
  for (const auto& [name, size] : options_.bound.axes) {
    if (std::ranges::find(names, name) == names.end())
      throw_error("{}: --bind: no input has an axis '{}'; {}", path(), name,
                  names.empty() ? "no axis has a name"
                                : fmt::format("names of axes are {}", fmt::join(names, ", ")));
    if (batch_names_.contains(name))
      throw_error(
          "{}: --bind {}: that is the axis of examples, whose size --batch-size gives; where it is "
          "none, --batch-axis says which axis is",
          path(), name);
  }
  for (const auto& [name, axis] : options_.bound.batch_axes) {
    const bool output = std::ranges::any_of(
        proto.output(), [&name = name](const auto& info) { return info.name() == name; });
    if (!name.empty() && !output && !is_input(name))
      throw_error("{}: --batch-axis: there is no input or output '{}'", path(), name);
  }
}

void Importer::bind_input(const std::string& name, const BoundInput& given,
                          const onnx::ValueInfoProto& info) {
  const auto type = element_type(info.type().tensor_type().elem_type());
  if (!info.type().has_tensor_type() || !type)
    throw_error("{}: --bind-input: input '{}' is no tensor of numbers", path(), name);
  const auto* shape = shape_of(info);
  Dims dims = given.dims;
  const bool unknown_rank = shape == nullptr;
  const auto count = static_cast<int64_t>(given.elements.size());
  if (dims.empty() && unknown_rank) dims = {count};
  for (int i = 0; given.dims.empty() && !unknown_rank && i < shape->dim_size(); ++i) {
    const auto& dim = shape->dim(i);
    const auto bound = options_.bound.axes.find(dim.dim_param());
    int64_t size = dim.dim_value();
    if (bound != options_.bound.axes.end()) size = bound->second;
    if (size < 1 && shape->dim_size() == 1) size = count;
    if (size < 1)
      throw_error("{}: --bind-input {}: the size of axis {} is unknown; give a .npy file", path(),
                  name, i);
    dims.push_back(size);
  }
  const int64_t elements = count_elements(dims);
  if (elements > kMaxComputedElements || (elements != count && count != 1))
    throw_error("{}: --bind-input {}: {} numbers for an input of shape {}", path(), name, count,
                dims_text(dims));
  for (int i = 0; !unknown_rank && i < shape->dim_size(); ++i)
    if (static_cast<int>(dims.size()) != shape->dim_size() ||
        (shape->dim(i).dim_value() > 0 && shape->dim(i).dim_value() != dims[i]))
      throw_error("{}: --bind-input {}: shape {} is not the input's", path(), name,
                  dims_text(dims));
  std::vector<double> reals = given.elements;
  if (count == 1) reals.assign(static_cast<size_t>(elements), given.elements[0]);
  KnownTensor known;
  known.type = *type, known.dims = dims;
  if (is_real(*type)) {
    known.data = Data::of_reals(std::move(reals));
  } else {
    for (const double x : reals)
      if (x != std::clamp<double>(std::floor(x), -0x1p53, 0x1p53))
        throw_error("{}: --bind-input {}: {} is no whole number, and the input takes these", path(),
                    name, x);
    known.data = Data::of_ints({reals.begin(), reals.end()});
  }
  tensors_.at(name).known = std::make_shared<const KnownTensor>(std::move(known));
}

void Importer::add_input(int index) {
  const auto& info = model_.proto().graph().input(index);
  // An initializer that nobody reads, listed as an input.
  for (const auto& tensor : model_.proto().graph().initializer())
    if (tensor.name() == info.name()) return;
  const std::string where = fmt::format("{}: input '{}'", path(), info.name());
  if (!info.type().has_tensor_type()) throw_error("{} is not a tensor", where);
  const auto& type = info.type().tensor_type();
  const auto element = element_type(type.elem_type());
  if (!element) throw_error("{}: {}", where, unsupported_type(type.elem_type()));
  if (const auto bound = options_.bound.inputs.find(info.name());
      bound != options_.bound.inputs.end())
    return bind_input(info.name(), bound->second, info);
  const auto* shape = shape_of(info);
  const auto given = options_.input_shapes.find(info.name());
  Dims dims;
  if (given != options_.input_shapes.end()) {
    dims = given->second;
    if (shape != nullptr && static_cast<size_t>(shape->dim_size()) != dims.size())
      throw_error("{} has {} axes, not the {} of the given shape", where, shape->dim_size(),
                  dims.size());
  } else if (shape == nullptr) {
    throw_error("{} has no shape; give it, for example {}", where,
                shape_flag(info.name(), nullptr, 0, options_.batch));
  } else {
    for (const auto& dim : shape->dim()) dims.push_back(dim.has_dim_value() ? dim.dim_value() : 0);
  }
  const int rank = static_cast<int>(dims.size());
  const int examples = rank == 0 ? 0 : batch_axis(info, rank);
  if (shape != nullptr && rank > 0) batch_names_.insert(shape->dim(examples).dim_param());
  for (int i = 0; shape != nullptr && i < rank; ++i) {
    if (i == examples) continue;
    const auto& dim = shape->dim(i);
    if (given != options_.input_shapes.end() && dim.dim_value() > 0 && dim.dim_value() != dims[i])
      throw_error("{}: axis {} has size {} in the model, not {}", where, i, dim.dim_value(),
                  dims[i]);
    const auto bound = options_.bound.axes.find(dim.dim_param());
    if (dim.dim_param().empty() || bound == options_.bound.axes.end()) continue;
    if (dims[i] > 0 && dims[i] != bound->second)
      throw_error("{}: axis {} ('{}') has size {} in the given shape, and --bind says {}", where, i,
                  dim.dim_param(), dims[i], bound->second);
    dims[i] = bound->second;
  }
  if (rank > 0 && options_.batch > 0) {
    if (given == options_.input_shapes.end() && dims[examples] > 0 &&
        dims[examples] != options_.batch)
      replaced_batch_ = dims[examples];
    dims[examples] = options_.batch;
  }
  for (int i = 0; i < rank; ++i) {
    if (dims[i] < 0) throw_error("{}: axis {} has the negative size {}", where, i, dims[i]);
    if (dims[i] != 0) continue;
    const auto* dim = shape == nullptr ? nullptr : &shape->dim(i);
    if (dim != nullptr && dim->has_dim_value())
      throw_error(
          "{}: axis {} has size 0, so there is nothing to learn from; export the model with "
          "the size of real data",
          where, i);
    const std::string flag = shape_flag(info.name(), shape, examples, options_.batch);
    if (dim == nullptr || dim->dim_param().empty() || batch_names_.contains(dim->dim_param())) {
      const bool named = dim != nullptr && !dim->dim_param().empty();
      throw_error("{}: the size of axis {}{} is unknown; give the shape, for example {}", where, i,
                  named ? fmt::format(" ('{}')", dim->dim_param()) : "", flag);
    }
    throw_error(
        "{}: the size of axis {} ('{}') is unknown; give it, for example --bind {}={}, or give the "
        "shape, for example {}",
        where, i, dim->dim_param(), dim->dim_param(), rank < 4 ? kLikelyLength : kLikelySize, flag);
  }
  const bool byte = *element == ElementType::u8;
  const DType dtype = is_real(*element) ? options_.real : byte ? DType::u8 : DType::i32;
  try {
    const Perm front = to_front(rank, examples);
    const Dims port = rank == 0 ? dims : permuted(dims, front);
    ValueId id = graph.add_input(info.name(), dtype, to_shape(port));
    graph.value(id).model_tensor = info.name();
    std::copy(front.begin(), front.begin() + rank, graph.value(id).model_perm.begin());
    if (examples > 0)
      id = graph.transpose(id, inverse(front), info.name() + "/as_the_model_has_it");
    tensors_.at(info.name()).value = id;
    tensors_.at(info.name()).type = *element;
    tensors_.at(info.name()).prepared = Prepared::as_given;
  } catch (const Error& error) {
    throw_error("{}: {}", where, error.what());
  }
}

ValueId Importer::examples_first(const onnx::ValueInfoProto& output, ValueId value) {
  const int rank = graph.shape(value).rank;
  const auto* shape = shape_of(output);
  int axis = 0;
  if (const auto given = options_.bound.batch_axes.find(output.name());
      given != options_.bound.batch_axes.end()) {
    axis = given->second;
    if (axis < 0 || axis >= rank)
      throw_error("--batch-axis {}: it has {} axes, numbered from 0", axis, rank);
  } else if (shape != nullptr && shape->dim_size() == rank) {
    const auto is_examples = [&](int i) {
      const std::string& name = shape->dim(i).dim_param();
      const bool fits = options_.batch == 0 || graph.shape(value)[i] == options_.batch;
      return !name.empty() && batch_names_.contains(name) && fits;
    };
    for (int i = rank; i-- > 0;)
      if (is_examples(i)) axis = i;
  }
  if (axis == 0) return value;
  return graph.transpose(value, to_front(rank, axis), output.name() + "/examples_first");
}

}  // namespace attune
