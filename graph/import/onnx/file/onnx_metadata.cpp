#include "graph/import/onnx/file/onnx_metadata.h"

#include <google/protobuf/unknown_field_set.h>

namespace attune {
namespace {

using Metadata = std::vector<onnx::StringStringEntryProto>;

Metadata metadata_in(const google::protobuf::Message& message, int number) {
  Metadata metadata;
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (const auto* field = message.GetDescriptor()->FindFieldByNumber(number)) {
    for (int i = 0; i < reflection.FieldSize(message, field); ++i)
      metadata.emplace_back().CopyFrom(reflection.GetRepeatedMessage(message, field, i));
    return metadata;
  }
  const auto& unknown = reflection.GetUnknownFields(message);
  for (int i = 0; i < unknown.field_count(); ++i) {
    const auto& field = unknown.field(i);
    const bool is_text = field.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED;
    if (field.number() == number && is_text)
      metadata.emplace_back().ParseFromString(field.length_delimited());
  }
  return metadata;
}

}  // namespace

Metadata metadata_of(const onnx::ValueInfoProto& info) { return metadata_in(info, 4); }
Metadata metadata_of(const onnx::NodeProto& node) { return metadata_in(node, 9); }

// Its value is Python's list ['', 'net', 'net.0', 'relu'], of which the last one is the node.
std::string module_of(const onnx::NodeProto& node) {
  for (const auto& entry : metadata_of(node)) {
    if (entry.key() != "pkg.torch.onnx.name_scopes") continue;
    std::vector<std::string> scopes;
    const std::string& list = entry.value();
    for (size_t begin = list.find('\''); begin != std::string::npos;) {
      const size_t end = list.find('\'', begin + 1);
      if (end == std::string::npos) break;
      scopes.push_back(list.substr(begin + 1, end - begin - 1));
      begin = list.find('\'', end + 1);
    }
    if (scopes.size() > 1) return scopes[scopes.size() - 2];
  }
  return "";
}

}  // namespace attune
