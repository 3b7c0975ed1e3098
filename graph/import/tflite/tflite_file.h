#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "graph/import/common/known_tensor.h"
#include "graph/import/tflite/tflite_generated.h"

namespace attune {

// The bytes of a TFLite file, verified: every offset lies inside, every index of a tensor, buffer
// or operator is one, and what is needed of a table is there.
class TfliteFile {
 public:
  // Throws Error where the bytes are no such file.
  static std::shared_ptr<const TfliteFile> parse(std::string_view bytes, const std::string& path);

  const std::string& path() const { return path_; }
  const std::string& bytes() const { return bytes_; }
  const tflite::Model& model() const { return *tflite::GetModel(bytes_.data()); }
  // The main one, which is all that is read.
  const tflite::SubGraph& graph() const { return *model().subgraphs()->Get(0); }
  const tflite::Tensor& tensor(uint32_t index) const { return *graph().tensors()->Get(index); }
  // As the format calls it: "CONV_2D", "custom MFCC".
  std::string operator_name(const tflite::Operator& op) const;
  tflite::BuiltinOperator builtin(const tflite::Operator& op) const;
  // The bytes of a constant; empty where a tensor is none.
  std::string_view contents(const tflite::Tensor& tensor) const;
  // The signature of the main graph, or null.
  const tflite::SignatureDef* signature() const;
  // The file of the first output's class names, in the archive behind the model; or empty.
  std::string label_file() const;

 private:
  TfliteFile(std::string_view bytes, const std::string& path) : bytes_(bytes), path_(path) {}
  void check() const;

  std::string bytes_, path_;
};

// Where a tensor is quantised, its elements stand for reals: (element - zero point) * scale.
bool is_quantized(const tflite::Tensor& tensor);
std::vector<int64_t> zero_points_of(const tflite::Quantization& quantization);
// The least and the largest real that an int8 or uint8 tensor of one scale can hold.
std::optional<std::pair<double, double>> quantized_range(const tflite::Tensor& tensor);
// Throws Error on types that are not read.
ElementType stored_type(const tflite::Tensor& tensor);
// As the tensor is computed with: f32 where it is quantised or of halves.
ElementType computed_type(const tflite::Tensor& tensor);
std::vector<int64_t> dims_of(const tflite::Tensor& tensor);
std::string name_of(const tflite::Tensor& tensor);
// The contents of a constant, dequantised; a view of the file's bytes, which `file` keeps, where
// these are floats. Throws Error where sizes do not fit.
KnownTensor read_constant(const std::shared_ptr<const TfliteFile>& file, uint32_t index);

}  // namespace attune
