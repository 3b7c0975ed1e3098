#include <onnx/onnx_pb.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <unordered_set>

#include "graph/import/common/element_type.h"
#include "graph/import/onnx/file/onnx_model.h"
#include "graph/import/onnx/file/onnx_tensor.h"
#include "graph/ir/error.h"

namespace attune {
namespace {

void append_real(std::string* bytes, ElementType type, double value) {
  with_element(type, [&](auto element) {
    element = static_cast<decltype(element)>(value);
    bytes->append(reinterpret_cast<const char*>(&element), sizeof(element));
  });
}

double rounded_to(DType real, double value) {
  return real == DType::f32 ? static_cast<double>(static_cast<float>(value)) : value;
}

class Exporter {
 public:
  Exporter(const OnnxModel& model, const ImportOptions& imported)
      : source_(model), imported_(imported), model_(model.proto()) {}

  std::string run(const std::vector<ModelTensor>& tensors) {
    int classes = 0;
    std::unordered_set<std::string> resized;
    for (const ModelTensor& tensor : tensors) {
      replace(tensor);
      if (!tensor.fresh) continue;
      classes = static_cast<int>(tensor.dims[static_cast<size_t>(tensor.class_axis)]);
      resized.insert(tensor.name);
    }
    if (!resized.empty()) resize_outputs(resized, classes);
    std::string bytes;
    if (model_.ByteSizeLong() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
        !model_.SerializeToString(&bytes))
      throw_error("{}: the adapted model is larger than 2 GB, which ONNX files cannot hold",
                  source_.path());
    return bytes;
  }

 private:
  // Weights that were integers are floats from now on: a DequantizeLinear's result takes its place.
  void hold_dequantized(const std::string& name) {
    auto* graph = model_.mutable_graph();
    const onnx::NodeProto* made_by = find_dequantized(*graph, name);
    for (int i = 0; made_by && i < graph->node_size(); ++i) {
      if (&graph->node(i) != made_by) continue;
      const KnownTensor reals = read_dequantized(*graph, graph->node(i), source_.path());
      onnx::TensorProto* made = graph->add_initializer();
      made->set_name(name);
      made->set_data_type(static_cast<int32_t>(reals.type));
      made->mutable_dims()->Assign(reals.dims.begin(), reals.dims.end());
      std::string bytes;
      for (const double x : reals.data->reals()) append_real(&bytes, reals.type, x);
      made->set_raw_data(std::move(bytes));
      graph->mutable_node()->DeleteSubrange(i, 1);
      return;
    }
  }

  void replace(const ModelTensor& tensor) {
    hold_dequantized(tensor.name);
    // The model is this exporter's own copy.
    auto* found = const_cast<onnx::TensorProto*>(find_tensor(model_.graph(), tensor.name));
    if (!found)
      throw_error("{}: the plan trains '{}', which is no tensor of the model", source_.path(),
                  tensor.name);
    onnx::TensorProto& proto = *found;
    const KnownTensor old = read_tensor(proto, source_.path() + ": initializer " + tensor.name);
    if (!old.real())
      throw_error("{}: initializer '{}' has element type {}, which training does not give",
                  source_.path(), tensor.name, proto.data_type());
    if (!tensor.fresh && old.dims != tensor.dims)
      throw_error("{}: initializer '{}' is {}, where the plan trains {}", source_.path(),
                  tensor.name, dims_text(old.dims), dims_text(tensor.dims));
    const std::vector<double> old_reals = old.data->reals();
    std::string bytes;
    for (size_t i = 0; i < tensor.reals.size(); ++i) {
      // What the plan's type does not tell from the old one keeps its own precision.
      const bool kept =
          !tensor.fresh && std::bit_cast<uint64_t>(rounded_to(imported_.real, old_reals[i])) ==
                               std::bit_cast<uint64_t>(tensor.reals[i]);
      append_real(&bytes, old.type, kept ? old_reals[i] : tensor.reals[i]);
    }
    if (tensor.fresh) old_classes_ = old.dims.at(static_cast<size_t>(tensor.class_axis));
    proto.mutable_dims()->Assign(tensor.dims.begin(), tensor.dims.end());
    proto.clear_float_data();
    proto.clear_double_data();
    proto.clear_int32_data();
    proto.set_raw_data(std::move(bytes));
    // Before IR version 4, initializers are listed as inputs too.
    for (auto& input : *model_.mutable_graph()->mutable_input()) {
      if (input.name() != tensor.name || !input.type().tensor_type().has_shape()) continue;
      auto* shape = input.mutable_type()->mutable_tensor_type()->mutable_shape();
      shape->clear_dim();
      for (int64_t d : tensor.dims) shape->add_dim()->set_dim_value(d);
    }
  }

  // Names of what is computed from these tensors.
  std::unordered_set<std::string> computed_from(std::unordered_set<std::string> names) const {
    const auto initializers = names;
    for (const auto& node : model_.graph().node())
      if (std::any_of(node.input().begin(), node.input().end(),
                      [&](const std::string& input) { return names.contains(input); }))
        names.insert(node.output().begin(), node.output().end());
    for (const auto& name : initializers) names.erase(name);
    names.erase("");
    return names;
  }

  // What import finds the outputs' shapes to be is what they are declared as from now on.
  void resize_outputs(const std::unordered_set<std::string>& resized, int classes) {
    const auto computed = computed_from(resized);
    auto* infos = model_.mutable_graph()->mutable_value_info();
    for (int i = infos->size(); i-- > 0;)
      if (computed.contains(infos->Get(i).name())) infos->DeleteSubrange(i, 1);
    Graph graph;
    try {
      graph = OnnxModel::parse(model_.SerializeAsString(), source_.path()).import(imported_);
    } catch (const Error& error) {
      refuse(computed, classes, error.what());
    }
    // The one that the fresh layer is of: the first of several that come from it.
    const auto trained =
        std::find_if(graph.outputs.begin(), graph.outputs.end(),
                     [&](const Port& port) { return computed.contains(port.name); });
    const Shape first = trained == graph.outputs.end() ? Shape{} : graph.shape(trained->value);
    if (first.rank < 1 || first[0] != imported_.batch || first.product(1, first.rank) != classes)
      refuse(computed, classes, "its output would have another shape");
    for (auto& output : *model_.mutable_graph()->mutable_output()) {
      const ValueId id = graph.output(output.name());
      if (!computed.contains(output.name()) || id == kNone ||
          !output.type().tensor_type().has_shape())
        continue;
      auto* shape = output.mutable_type()->mutable_tensor_type()->mutable_shape();
      const Shape& actual = graph.shape(id);
      if (shape->dim_size() != actual.rank) {
        output.mutable_type()->mutable_tensor_type()->clear_shape();
        continue;
      }
      for (int i = 1; i < actual.rank; ++i)
        if (shape->dim(i).has_dim_value()) shape->mutable_dim(i)->set_dim_value(actual[i]);
    }
  }

  // The contents of a tensor of integers that the model knows, or nothing.
  std::vector<int64_t> known_ints(const std::string& name) const {
    if (const auto* tensor = find_tensor(model_.graph(), name))
      return read_tensor(*tensor, source_.path()).data->ints();
    for (const auto& node : model_.graph().node())
      if (node.op_type() == "Constant" && node.output_size() == 1 && node.output(0) == name)
        for (const auto& attribute : node.attribute())
          if (attribute.name() == "value_ints")
            return {attribute.ints().begin(), attribute.ints().end()};
    return {};
  }

  [[noreturn]] void refuse(const std::unordered_set<std::string>& computed, int classes,
                           const std::string& why) const {
    for (const auto& node : model_.graph().node()) {
      if (node.op_type() != "Reshape" || node.input_size() < 2 || node.output_size() < 1 ||
          !computed.contains(node.output(0)))
        continue;
      const std::vector<int64_t> shape = known_ints(node.input(1));
      if (std::find(shape.begin(), shape.end(), old_classes_) == shape.end()) continue;
      throw_error(
          "{}: cannot export {} classes: node '{}' (Reshape) has the old number of classes, {}, in "
          "its shape {}; export the original model with a -1 there, or with Flatten",
          source_.path(), classes, node.name().empty() ? node.output(0) : node.name(), old_classes_,
          dims_text(shape));
    }
    throw_error("{}: cannot export {} classes in place of {}: {}", source_.path(), classes,
                old_classes_, why);
  }

  const OnnxModel& source_;
  const ImportOptions& imported_;
  onnx::ModelProto model_;
  int64_t old_classes_ = 0;
};

}  // namespace

std::string OnnxModel::with_tensors(const std::vector<ModelTensor>& tensors,
                                    const ImportOptions& imported) const {
  return Exporter(*this, imported).run(tensors);
}

}  // namespace attune
