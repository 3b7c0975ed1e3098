#include "graph/import/tflite/tflite_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "graph/ir/error.h"

namespace attune {
namespace {

constexpr uint32_t kVersion = 3;
constexpr size_t kMaxBytes = size_t{1} << 31;

template <class Vector>
uint32_t size_of(const Vector* vector) {
  return vector == nullptr ? 0 : vector->size();
}

void check_indices(const flatbuffers::Vector<int32_t>* indices, uint32_t tensors, int32_t least,
                   const std::string& where) {
  for (uint32_t i = 0; i < size_of(indices); ++i)
    if (const int32_t index = indices->Get(i);
        index < least || index >= static_cast<int64_t>(tensors))
      throw_error("{}: there is no tensor {}", where, index);
}

}  // namespace

std::shared_ptr<const TfliteFile> TfliteFile::parse(std::string_view bytes,
                                                    const std::string& path) {
  if (bytes.size() >= kMaxBytes) throw_error("{}: larger than 2 GB", path);
  const std::shared_ptr<const TfliteFile> file(new TfliteFile(bytes, path));
  // A table of the file each, and many are shared: no honest file has more than it has bytes.
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t*>(file->bytes_.data()),
                                 file->bytes_.size(), 64,
                                 static_cast<flatbuffers::uoffset_t>(file->bytes_.size()));
  if (!tflite::VerifyModelBuffer(verifier))
    throw_error("{}: not a TFLite model, or a damaged one: is it all there?", path);
  file->check();
  return file;
}

void TfliteFile::check() const {
  const tflite::Model& m = model();
  if (m.version() != kVersion)
    throw_error("{}: version {} of TFLite's format, where {} is read", path_, m.version(),
                kVersion);
  if (size_of(m.subgraphs()) == 0) throw_error("{}: it has no graph", path_);
  for (uint32_t i = 0; i < size_of(m.buffers()); ++i)
    if (m.buffers()->Get(i)->offset() > 1 || m.buffers()->Get(i)->size() > 1)
      throw_error("{}: buffer {} lies behind the model, as in files above 2 GB", path_, i);
  const tflite::SubGraph& g = graph();
  const uint32_t tensors = size_of(g.tensors());
  for (uint32_t i = 0; i < tensors; ++i)
    if (const uint32_t buffer = tensor(i).buffer(); buffer != 0 && buffer >= size_of(m.buffers()))
      throw_error("{}: tensor {} is of buffer {}, which is not there", path_, i, buffer);
  check_indices(g.inputs(), tensors, 0, path_ + ": inputs");
  check_indices(g.outputs(), tensors, 0, path_ + ": outputs");
  if (size_of(g.inputs()) == 0 || size_of(g.outputs()) == 0)
    throw_error("{}: the model has no {}", path_, size_of(g.inputs()) == 0 ? "inputs" : "outputs");
  for (uint32_t i = 0; i < size_of(g.operators()); ++i) {
    const std::string where = fmt::format("{}: operator {}", path_, i);
    const tflite::Operator& op = *g.operators()->Get(i);
    if (op.opcode_index() >= size_of(m.operator_codes())) throw_error("{} has no code", where);
    check_indices(op.inputs(), tensors, -1, where);
    check_indices(op.outputs(), tensors, 0, where);
    if (size_of(op.outputs()) == 0) throw_error("{} has no output", where);
  }
}

tflite::BuiltinOperator TfliteFile::builtin(const tflite::Operator& op) const {
  const tflite::OperatorCode& code = *model().operator_codes()->Get(op.opcode_index());
  // Older files have codes up to 127 in a field of their own.
  return std::max(code.builtin_code(),
                  static_cast<tflite::BuiltinOperator>(code.deprecated_builtin_code()));
}

std::string TfliteFile::operator_name(const tflite::Operator& op) const {
  const tflite::BuiltinOperator code = builtin(op);
  const auto* custom = model().operator_codes()->Get(op.opcode_index())->custom_code();
  if (code == tflite::BuiltinOperator::CUSTOM)
    return fmt::format("custom {}", custom ? custom->str() : "operator");
  const std::string name = tflite::EnumNameBuiltinOperator(code);
  return name.empty() ? fmt::format("operator {}", static_cast<int>(code)) : name;
}

std::string_view TfliteFile::contents(const tflite::Tensor& tensor) const {
  if (tensor.buffer() == 0 || tensor.is_variable()) return {};
  const auto* data = model().buffers()->Get(tensor.buffer())->data();
  if (data == nullptr) return {};
  return {reinterpret_cast<const char*>(data->data()), data->size()};
}

const tflite::SignatureDef* TfliteFile::signature() const {
  const auto* signatures = model().signature_defs();
  for (uint32_t i = 0; i < size_of(signatures); ++i)
    if (signatures->Get(i)->subgraph_index() == 0) return signatures->Get(i);
  return nullptr;
}

std::string TfliteFile::label_file() const {
  const auto* metadata = model().metadata();
  const flatbuffers::Vector<uint8_t>* found = nullptr;
  for (uint32_t i = 0; i < size_of(metadata); ++i) {
    const tflite::Metadata& entry = *metadata->Get(i);
    if (!entry.name() || entry.name()->str() != "TFLITE_METADATA" ||
        entry.buffer() >= size_of(model().buffers()))
      continue;
    if (const auto* data = model().buffers()->Get(entry.buffer())->data()) found = data;
  }
  if (!found) return "";
  const std::vector<uint8_t> bytes(found->begin(), found->end());  // aligned
  flatbuffers::Verifier verifier(bytes.data(), bytes.size());
  if (!verifier.VerifyBuffer<tflite::ModelMetadata>("M001")) return "";
  const auto* graphs =
      flatbuffers::GetRoot<tflite::ModelMetadata>(bytes.data())->subgraph_metadata();
  if (size_of(graphs) == 0 || size_of(graphs->Get(0)->output_tensor_metadata()) == 0) return "";
  const auto* files = graphs->Get(0)->output_tensor_metadata()->Get(0)->associated_files();
  for (uint32_t i = 0; i < size_of(files); ++i)
    if (files->Get(i)->type() == tflite::AssociatedFileType::TENSOR_AXIS_LABELS &&
        files->Get(i)->name())
      return files->Get(i)->name()->str();
  return "";
}

bool is_quantized(const tflite::Tensor& tensor) {
  const bool integers =
      tensor.type() == tflite::TensorType::INT8 || tensor.type() == tflite::TensorType::UINT8 ||
      tensor.type() == tflite::TensorType::INT16 || tensor.type() == tflite::TensorType::INT32 ||
      tensor.type() == tflite::TensorType::INT64;
  return integers && tensor.quantization() && size_of(tensor.quantization()->scale()) > 0;
}

std::vector<int64_t> zero_points_of(const tflite::Quantization& quantization) {
  // The verifier lets them lie at any multiple of four, where they are no integers of eight bytes.
  std::vector<int64_t> points(size_of(quantization.zero_point()));
  if (!points.empty())
    std::memcpy(points.data(), quantization.zero_point()->Data(), points.size() * sizeof(int64_t));
  for (int64_t& point : points) point = flatbuffers::EndianScalar(point);
  return points;
}

std::optional<std::pair<double, double>> quantized_range(const tflite::Tensor& tensor) {
  const bool is_signed = tensor.type() == tflite::TensorType::INT8;
  if (!is_quantized(tensor) || (!is_signed && tensor.type() != tflite::TensorType::UINT8) ||
      tensor.quantization()->scale()->size() != 1)
    return std::nullopt;
  const double scale = tensor.quantization()->scale()->Get(0);
  const std::vector<int64_t> zeros = zero_points_of(*tensor.quantization());
  const double zero = zeros.empty() ? 0 : static_cast<double>(zeros[0]);
  const double least = ((is_signed ? -128 : 0) - zero) * scale;
  const double most = ((is_signed ? 127 : 255) - zero) * scale;
  if (!(least < most && std::isfinite(least) && std::isfinite(most))) return std::nullopt;
  return std::pair(least, most);
}

ElementType stored_type(const tflite::Tensor& tensor) {
  switch (tensor.type()) {
    case tflite::TensorType::FLOAT32:
      return ElementType::f32;
    case tflite::TensorType::FLOAT16:
      return ElementType::f16;
    case tflite::TensorType::FLOAT64:
      return ElementType::f64;
    case tflite::TensorType::INT8:
      return ElementType::i8;
    case tflite::TensorType::UINT8:
      return ElementType::u8;
    case tflite::TensorType::INT16:
      return ElementType::i16;
    case tflite::TensorType::UINT16:
      return ElementType::u16;
    case tflite::TensorType::INT32:
      return ElementType::i32;
    case tflite::TensorType::UINT32:
      return ElementType::u32;
    case tflite::TensorType::INT64:
      return ElementType::i64;
    case tflite::TensorType::BOOL:
      return ElementType::boolean;
    default:
      throw_error("tensor '{}' is of type {}, which is not supported", name_of(tensor),
                  tflite::EnumNameTensorType(tensor.type()));
  }
}

ElementType computed_type(const tflite::Tensor& tensor) {
  const ElementType type = stored_type(tensor);
  return is_quantized(tensor) || type == ElementType::f16 ? ElementType::f32 : type;
}

Dims dims_of(const tflite::Tensor& tensor) {
  const auto* shape = tensor.shape();
  return shape == nullptr ? Dims{} : Dims(shape->begin(), shape->end());
}

std::string name_of(const tflite::Tensor& tensor) {
  return tensor.name() == nullptr ? "" : tensor.name()->str();
}

}  // namespace attune
