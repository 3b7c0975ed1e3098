#include "graph/ir/interpret.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <type_traits>

#include "attune/thread_pool.h"
#include "graph/ir/error.h"
#include "graph/ir/interrupt.h"
#include "graph/rules/rules.h"
#include "kernels/kernel.h"

namespace attune {
namespace {

constexpr size_t kAlignment = 64;

// Calls f with a value of the C++ type of an element; bool for masks, whose elements are bits.
template <class F>
void with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::i32:
      return f(int32_t{});
    case DType::u8:
      return f(uint8_t{});
    case DType::mask:
      return f(false);
  }
}

template <class From>
HostTensor filled(DType dtype, const Shape& shape, const std::vector<From>& from) {
  if (static_cast<int64_t>(from.size()) != shape.elements())
    throw_error("{} elements for a tensor of {}", from.size(), shape_text(shape));
  HostTensor tensor = HostTensor::zeros(dtype, shape);
  with_type(dtype, [&](auto type) {
    using T = decltype(type);
    for (size_t i = 0; i < from.size(); ++i) {
      if constexpr (std::is_same_v<T, bool>) {
        if (from[i] != 0) tensor.bytes[i / 8] |= std::byte{1} << (i % 8);
      } else {
        tensor.as<T>()[i] = static_cast<T>(from[i]);
      }
    }
  });
  return tensor;
}

class Interpreter {
 public:
  Interpreter(const Graph& graph, const std::map<std::string, HostTensor>& inputs)
      : graph_(graph), tensors_(graph.values.size()), pool_(1) {
    for (size_t i = 0; i < graph.values.size(); ++i) tensors_[i] = initial(graph.values[i]);
    for (const Port& port : graph.inputs)
      if (!inputs.contains(port.name)) throw_error("input '{}' is not given", port.name);
    for (const auto& [name, tensor] : inputs) give(name, tensor);
  }

  std::vector<HostTensor> run() {
    const Repeat& repeat = graph_.repeat;
    run_nodes(0, repeat.begin);
    for (int r = 0; r < repeat.count; ++r) {
      if (r > 0)
        for (const auto& [before, after] : repeat.carried) tensors_[before] = tensors_[after];
      run_nodes(repeat.begin, repeat.end, r);
    }
    run_nodes(repeat.end, static_cast<NodeId>(graph_.nodes.size()));
    return std::move(tensors_);
  }

 private:
  void run_nodes(NodeId begin, NodeId end, int repetition = 0) {
    for (NodeId n = begin; n < end; ++n) {
      check_interrupt();
      Node node = graph_.nodes[static_cast<size_t>(n)];
      if (const int64_t advance = graph_.value(node.outputs[0]).advance; advance > 0) {
        auto& attrs = std::get<SliceAttrs>(node.attrs);
        const Shape& x = graph_.shape(node.inputs[0]);
        attrs.start +=
            static_cast<int32_t>(repetition * advance / x.product(attrs.axis + 1, x.rank));
      }
      run_node(node);
    }
  }

  static HostTensor initial(const Value& value) {
    if (value.role == Role::state) return HostTensor::zeros(value.dtype, value.shape);
    if (value.data == nullptr) return {value.dtype, value.shape, {}};
    return is_real(value.dtype)
               ? HostTensor::of_reals(value.dtype, value.shape, value.data->reals())
               : HostTensor::of_ints(value.dtype, value.shape, value.data->ints());
  }

  void give(const std::string& name, const HostTensor& tensor) {
    ValueId id = graph_.input(name);
    for (size_t i = 0; id == kNone && i < graph_.values.size(); ++i)
      if (graph_.values[i].name == name && graph_.values[i].role != Role::temporary)
        id = static_cast<ValueId>(i);
    if (id == kNone) throw_error("there is no input, parameter or state '{}'", name);
    const Value& value = graph_.value(id);
    if (tensor.dtype != value.dtype || !(tensor.shape == value.shape))
      throw_error("'{}' is {}{}, where {} is needed", name, dtype_name(tensor.dtype),
                  shape_text(tensor.shape), type_text(value));
    tensors_[id] = tensor;
  }

  Tensor view(ValueId id) {
    Tensor tensor;
    if (id == kNone) return tensor;
    tensor.data = tensors_[id].bytes.data();
    tensor.dtype = tensors_[id].dtype;
    tensor.shape = tensors_[id].shape;
    return tensor;
  }

  // An update starts from a copy of the old value; everything else from NaN, so that it shows where
  // a kernel leaves an element out.
  void allocate(ValueId id) {
    if (id == kNone) return;
    const Value& value = graph_.value(id);
    if (value.updates != kNone) {
      tensors_[id] = tensors_[value.updates];
    } else {
      tensors_[id] = HostTensor::zeros(value.dtype, value.shape);
      std::fill(tensors_[id].bytes.begin(), tensors_[id].bytes.end(), std::byte{0xff});
    }
  }

  void run_node(const Node& node) {
    const DType dtype = compute_dtype(graph_, node);
    const Kernel* kernel = find_kernel(Backend::reference, node.op, dtype);
    if (kernel == nullptr)
      throw_error("{} '{}': no reference kernel in {}", op_name(node.op), node.name,
                  dtype_name(dtype));
    std::vector<Tensor> inputs, outputs;
    for (ValueId id : node.outputs) {
      allocate(id);
      outputs.push_back(view(id));
    }
    for (ValueId id : node.inputs) inputs.push_back(view(id));
    for (size_t i = 0; i < outputs.size(); ++i)
      if (const int updated = updated_input(node.op, static_cast<int>(i)); updated >= 0)
        inputs[updated].data = outputs[i].data;

    KernelArgs args;
    args.inputs = inputs.data();
    args.num_inputs = static_cast<int>(inputs.size());
    args.outputs = outputs.data();
    args.num_outputs = static_cast<int>(outputs.size());
    args.attrs = attrs_data(node.attrs);
    args.pool = &pool_;
    if (kernel->supports != nullptr && !kernel->supports(args))
      throw_error("{} '{}': the reference kernel does not take it", op_name(node.op), node.name);
    const size_t workspace = kernel->workspace_bytes ? kernel->workspace_bytes(args, 1) : 0;
    workspace_.assign(workspace + kAlignment, std::byte{0xff});
    void* data = workspace_.data();
    size_t space = workspace_.size();
    args.workspace = std::align(kAlignment, workspace, data, space);
    size_t held_bytes = 0;
    if (kernel->prepare != nullptr) {
      args.prepared = kernel->prepare(args, &held_bytes);
      if (args.prepared == nullptr)
        throw_error("{} '{}': out of memory", op_name(node.op), node.name);
    }
    kernel->run(args);
    if (kernel->release != nullptr) kernel->release(args.prepared);
  }

  const Graph& graph_;
  std::vector<HostTensor> tensors_;
  std::vector<std::byte> workspace_;
  ThreadPool pool_;
};

}  // namespace

HostTensor HostTensor::zeros(DType dtype, const Shape& shape) {
  const size_t bytes = dtype_bytes(dtype, static_cast<size_t>(shape.elements()));
  return {dtype, shape, std::vector<std::byte>(bytes)};
}

HostTensor HostTensor::of_reals(DType dtype, const Shape& shape, const std::vector<double>& reals) {
  return filled(dtype, shape, reals);
}

HostTensor HostTensor::of_ints(DType dtype, const Shape& shape, const std::vector<int64_t>& ints) {
  return filled(dtype, shape, ints);
}

std::vector<double> HostTensor::reals() const {
  std::vector<double> reals(bytes.empty() ? 0 : static_cast<size_t>(shape.elements()));
  with_type(dtype, [&](auto type) {
    using T = decltype(type);
    for (size_t i = 0; i < reals.size(); ++i) {
      if constexpr (std::is_same_v<T, bool>) {
        reals[i] = static_cast<double>(std::to_integer<int>(bytes[i / 8] >> (i % 8)) & 1);
      } else {
        T element;
        std::memcpy(&element, bytes.data() + i * sizeof(T), sizeof(T));
        reals[i] = static_cast<double>(element);
      }
    }
  });
  return reals;
}

std::vector<HostTensor> interpret(const Graph& graph,
                                  const std::map<std::string, HostTensor>& inputs) {
  return Interpreter(graph, inputs).run();
}

}  // namespace attune
