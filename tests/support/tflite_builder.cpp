#include "tests/support/tflite_builder.h"

#include <algorithm>

namespace attune {

TfliteBuilder::TfliteBuilder() { buffers_.push_back(tflite::CreateBuffer(builder_)); }

int TfliteBuilder::tensor(const std::vector<int>& dims, const std::string& name,
                          tflite::TensorType type, const void* data, size_t size,
                          flatbuffers::Offset<tflite::Quantization> quantization) {
  uint32_t buffer = 0;
  if (data != nullptr && shared_ >= 0) {
    buffer = buffer_of_[static_cast<size_t>(shared_)];
  } else if (data != nullptr) {
    builder_.ForceVectorAlignment(size, 1, 16);
    const auto bytes = builder_.CreateVector(static_cast<const uint8_t*>(data), size);
    buffer = static_cast<uint32_t>(buffers_.size());
    buffers_.push_back(tflite::CreateBuffer(builder_, bytes));
  }
  shared_ = -1;
  buffer_of_.push_back(buffer);
  const auto shape = builder_.CreateVector(dims);
  const auto text = builder_.CreateString(name);
  tensors_.push_back(tflite::CreateTensor(builder_, shape, type, buffer, text, quantization));
  return static_cast<int>(tensors_.size()) - 1;
}

int TfliteBuilder::input(const std::vector<int>& dims, const std::string& name,
                         tflite::TensorType type) {
  inputs_.push_back(tensor(dims, name, type, nullptr, 0));
  return inputs_.back();
}

int TfliteBuilder::weights(const std::vector<int>& dims, const std::string& name, float first,
                           float step) {
  size_t elements = 1;
  for (const int d : dims) elements *= static_cast<size_t>(d);
  std::vector<float> values(elements);
  for (size_t i = 0; i < elements; ++i)
    values[i] = first + step * static_cast<float>(static_cast<int>(i * 7 % 23) - 11);
  return tensor(dims, name, tflite::TensorType::FLOAT32, values.data(), 4 * elements);
}

int TfliteBuilder::reals(const std::vector<int>& dims, const std::vector<float>& values) {
  return tensor(dims, "reals" + std::to_string(tensors_.size()), tflite::TensorType::FLOAT32,
                values.data(), 4 * values.size());
}

int TfliteBuilder::halves(const std::vector<int>& dims, const std::string& name,
                          const std::vector<uint16_t>& bits) {
  return tensor(dims, name, tflite::TensorType::FLOAT16, bits.data(), 2 * bits.size());
}

int TfliteBuilder::ints(const std::vector<int>& dims, const std::vector<int32_t>& values) {
  return tensor(dims, "ints" + std::to_string(tensors_.size()), tflite::TensorType::INT32,
                values.data(), 4 * values.size());
}

int TfliteBuilder::int8(const std::vector<int>& dims, const std::string& name,
                        const std::vector<int8_t>& values, const std::vector<float>& scales,
                        const std::vector<int64_t>& zeros, int axis) {
  const auto scale = builder_.CreateVector(scales);
  const auto zero = builder_.CreateVector(zeros);
  const auto quantization = tflite::CreateQuantization(builder_, 0, 0, scale, zero, 0, 0, axis);
  return tensor(dims, name, tflite::TensorType::INT8, values.data(), values.size(), quantization);
}

int TfliteBuilder::op(tflite::BuiltinOperator code, const std::vector<int>& inputs, Options options,
                      int outputs, tflite::TensorType type) {
  std::vector<int> made;
  for (int i = 0; i < outputs; ++i)
    made.push_back(tensor({}, "t" + std::to_string(tensors_.size()), type, nullptr, 0));
  const auto number = static_cast<int8_t>(std::min(static_cast<int>(code), 127));
  codes_.push_back(tflite::CreateOperatorCode(builder_, number, 0, 1, code));
  const auto in = builder_.CreateVector(inputs);
  const auto out = builder_.CreateVector(made);
  operators_.push_back(tflite::CreateOperator(builder_, static_cast<uint32_t>(codes_.size()) - 1,
                                              in, out, options.first, options.second));
  return made[0];
}

void TfliteBuilder::custom(const std::string& name, const std::vector<int>& inputs) {
  op(tflite::BuiltinOperator::CUSTOM, inputs);
  const auto text = builder_.CreateString(name);
  codes_.back() =
      tflite::CreateOperatorCode(builder_, 32, text, 1, tflite::BuiltinOperator::CUSTOM);
}

void TfliteBuilder::signature(const std::vector<std::string>& inputs,
                              const std::vector<std::string>& outputs) {
  const auto maps = [&](const std::vector<std::string>& names, const std::vector<int>& tensors) {
    std::vector<flatbuffers::Offset<tflite::TensorMap>> made;
    for (size_t i = 0; i < names.size(); ++i)
      made.push_back(tflite::CreateTensorMap(builder_, builder_.CreateString(names[i]),
                                             static_cast<uint32_t>(tensors[i])));
    return builder_.CreateVector(made);
  };
  const auto in = maps(inputs, inputs_), out = maps(outputs, outputs_);
  signatures_.push_back(
      tflite::CreateSignatureDef(builder_, in, out, builder_.CreateString("serving_default"), 0));
}

void TfliteBuilder::labels(const std::string& file) {
  flatbuffers::FlatBufferBuilder b;
  const auto associated = tflite::CreateAssociatedFile(
      b, b.CreateString(file), 0, tflite::AssociatedFileType::TENSOR_AXIS_LABELS);
  const auto files = b.CreateVector(&associated, 1);
  tflite::TensorMetadataBuilder output(b);
  output.add_associated_files(files);
  const auto of_output = output.Finish();
  const auto outputs = b.CreateVector(&of_output, 1);
  tflite::SubGraphMetadataBuilder graph(b);
  graph.add_output_tensor_metadata(outputs);
  const auto of_graph = graph.Finish();
  const auto graphs = b.CreateVector(&of_graph, 1);
  tflite::ModelMetadataBuilder model(b);
  model.add_subgraph_metadata(graphs);
  b.Finish(model.Finish(), "M001");
  const auto bytes = builder_.CreateVector(b.GetBufferPointer(), b.GetSize());
  const auto name = builder_.CreateString("TFLITE_METADATA");
  metadata_.push_back(
      tflite::CreateMetadata(builder_, name, static_cast<uint32_t>(buffers_.size())));
  buffers_.push_back(tflite::CreateBuffer(builder_, bytes));
}

std::string TfliteBuilder::bytes() {
  const auto tensors = builder_.CreateVector(tensors_);
  const auto inputs = builder_.CreateVector(inputs_), outputs = builder_.CreateVector(outputs_);
  const auto operators = builder_.CreateVector(operators_);
  const auto graph = tflite::CreateSubGraph(builder_, tensors, inputs, outputs, operators);
  const auto graphs = builder_.CreateVector(&graph, 1);
  const auto codes = builder_.CreateVector(codes_);
  const auto buffers = builder_.CreateVector(buffers_);
  const auto metadata = builder_.CreateVector(metadata_);
  const auto signatures = builder_.CreateVector(signatures_);
  const auto description = builder_.CreateString("built by a test");
  tflite::FinishModelBuffer(builder_, tflite::CreateModel(builder_, 3, codes, graphs, description,
                                                          buffers, 0, metadata, signatures));
  return {reinterpret_cast<const char*>(builder_.GetBufferPointer()), builder_.GetSize()};
}

}  // namespace attune
