#include "graph/import/onnx/file/functions.h"

#include <google/protobuf/unknown_field_set.h>
#include <onnx/onnx_pb.h>

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "graph/import/onnx/file/onnx_model.h"
#include "graph/ir/error.h"

namespace attune {
namespace {

// A few functions that call each other could ask for any number of nodes.
constexpr size_t kMostNodes = 1'000'000, kDeepest = 64;

// The defaults of a function's attributes: a field that older versions of ONNX's library do not
// know.
std::vector<onnx::AttributeProto> defaults_of(const onnx::FunctionProto& function) {
  constexpr int kDefaults = 11;
  std::vector<onnx::AttributeProto> defaults;
  const google::protobuf::Reflection& reflection = *function.GetReflection();
  if (const auto* field = function.GetDescriptor()->FindFieldByNumber(kDefaults)) {
    for (int i = 0; i < reflection.FieldSize(function, field); ++i)
      defaults.emplace_back().CopyFrom(reflection.GetRepeatedMessage(function, field, i));
    return defaults;
  }
  const auto& unknown = reflection.GetUnknownFields(function);
  for (int i = 0; i < unknown.field_count(); ++i) {
    const auto& field = unknown.field(i);
    if (field.number() == kDefaults &&
        field.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      defaults.emplace_back().ParseFromString(field.length_delimited());
  }
  return defaults;
}

class Inliner {
 public:
  explicit Inliner(const OnnxModel& model) : model_(model) {
    for (const auto& function : model.proto().functions())
      functions_[{function.domain(), function.name()}] = &function;
  }

  NodeList run() {
    const auto& graph = model_.proto().graph();
    for (const auto& node : graph.node()) used_.insert(node.output().begin(), node.output().end());
    for (const auto& node : graph.node())
      if (!call(node)) add({model_.shared(), &node});
    return std::move(nodes_);
  }

 private:
  using Names = std::unordered_map<std::string, std::string>;

  void add(std::shared_ptr<const onnx::NodeProto> node) {
    if (nodes_.size() >= kMostNodes)
      throw_error("{}: its functions make more than {} nodes", model_.path(), kMostNodes);
    nodes_.push_back(std::move(node));
  }

  // Adds the nodes of the function that a node calls. False where it calls none.
  bool call(const onnx::NodeProto& node) {
    const auto found = functions_.find({node.domain(), node.op_type()});
    if (found == functions_.end()) return false;
    const onnx::FunctionProto& function = *found->second;
    const bool unnamed = node.name().empty() && node.output_size() > 0;
    const std::string name = unnamed ? node.output(0) : node.name();
    if (open_.size() >= kDeepest)
      throw_error("{}: functions call each other more than {} deep", model_.path(), kDeepest);
    if (!open_.insert(&function).second)
      throw_error("{}: function {} calls itself", model_.path(), function.name());
    check_opset(function);
    // Names of nodes may be there twice, those of tensors may not.
    const std::string prefix = (node.output_size() > 0 ? node.output(0) : name) + "/";
    Names names;
    for (int i = 0; i < function.input_size(); ++i)
      names[function.input(i)] = i < node.input_size() ? node.input(i) : "";
    for (int i = 0; i < function.output_size(); ++i)
      if (i < node.output_size() && !node.output(i).empty())
        names[function.output(i)] = node.output(i);
    const auto renamed = [&](const std::string& inner) {
      if (inner.empty()) return inner;
      if (const auto known = names.find(inner); known != names.end()) return known->second;
      std::string made = prefix + inner;
      while (!used_.insert(made).second) made += "_";
      return names[inner] = made;
    };
    for (const onnx::NodeProto& inner : function.node()) {
      auto made = std::make_shared<onnx::NodeProto>(inner);
      for (auto& input : *made->mutable_input()) input = renamed(input);
      for (auto& output : *made->mutable_output()) output = renamed(output);
      made->set_name(name + "/" + (inner.name().empty() ? inner.op_type() : inner.name()));
      give_attributes(function, node, made.get());
      if (!call(*made)) add(std::move(made));
    }
    open_.erase(&function);
    return true;
  }

  // An inner node may take an attribute of the call, or else the function's default.
  static void give_attributes(const onnx::FunctionProto& function, const onnx::NodeProto& node,
                              onnx::NodeProto* inner) {
    const auto defaults = defaults_of(function);
    auto* attributes = inner->mutable_attribute();
    for (int i = attributes->size(); i-- > 0;) {
      const std::string wanted = attributes->Get(i).ref_attr_name();
      if (wanted.empty()) continue;
      const onnx::AttributeProto* given = nullptr;
      for (const auto& attribute : node.attribute())
        if (attribute.name() == wanted) given = &attribute;
      for (const auto& attribute : defaults)
        if (given == nullptr && attribute.name() == wanted) given = &attribute;
      if (given == nullptr) {
        attributes->DeleteSubrange(i, 1);
        continue;
      }
      const std::string name = attributes->Get(i).name();
      *attributes->Mutable(i) = *given;
      attributes->Mutable(i)->set_name(name);
    }
  }

  void check_opset(const onnx::FunctionProto& function) const {
    const auto version = [](const auto& imports) {
      for (const auto& entry : imports)
        if (entry.domain().empty() || entry.domain() == "ai.onnx") return entry.version();
      return decltype(imports.Get(0).version()){0};
    };
    const auto own = version(function.opset_import()), all = version(model_.proto().opset_import());
    if (own != 0 && own != all)
      throw_error("{}: function {} is of opset {}, the model of {}; export the model again",
                  model_.path(), function.name(), own, all);
  }

  const OnnxModel& model_;
  std::map<std::pair<std::string, std::string>, const onnx::FunctionProto*> functions_;
  std::set<const onnx::FunctionProto*> open_;
  std::unordered_set<std::string> used_;
  NodeList nodes_;
};

}  // namespace

NodeList inlined_nodes(const OnnxModel& model) { return Inliner(model).run(); }

}  // namespace attune
