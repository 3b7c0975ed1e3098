#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/ir/graph.h"

namespace attune {

// What becomes of Dropout: nothing at all, or dropping in training. With dropout kept, a graph is
// that of training or another one.
enum class Dropout : uint8_t { off, kept, training };
// An input that is always the same, and so a constant of the model. Without dims those that the
// model states; one number is all of its elements.
struct BoundInput {
  std::vector<int64_t> dims;
  std::vector<double> elements;
};

// What a user says of the model's inputs, beside their shapes.
struct InputBindings {
  std::map<std::string, int64_t> axes;       // the size of every axis of a symbolic name
  std::map<std::string, int> batch_axes;     // of inputs and outputs; "": of all inputs
  std::map<std::string, BoundInput> inputs;  // by name
  bool empty() const { return axes.empty() && batch_axes.empty() && inputs.empty(); }
};

struct ImportOptions {
  DType real = DType::f32;
  // Replaces the axis of examples of every input; 0 leaves it as the model has it.
  int batch = 1;
  // Shapes given by the user for inputs with unknown dimensions: input name -> dims, batch included
  // (the size of that axis is replaced by `batch`).
  std::map<std::string, std::vector<int64_t>> input_shapes;
  Dropout dropout = Dropout::off;
  uint64_t seed = 0;  // of random numbers
  InputBindings bound = {};
};

// A parameter as the model stores it.
struct ModelTensor {
  std::string name;
  std::vector<int64_t> dims;
  std::vector<double> reals;  // in the order of the model
  bool fresh = false;         // of a head that the model does not have
  int class_axis = 0;         // of `dims`, where fresh
};

// The file that a user brings, read and parsed, whatever its format. It never changes.
class Model {
 public:
  virtual ~Model() = default;
  // Names the model in errors.
  const std::string& path() const { return path_; }
  // Of everything that was read: the file, and data that lie beside it.
  uint64_t hash() const { return hash_; }

  // Builds the forward graph: the model's inputs become ports of their names, its outputs ports of
  // theirs. Ports have the examples on their first axis, wherever the model has them. Everything
  // convolutional is NHWC: such nodes are wrapped in transposes, and `to_channels_last`
  // (graph/passes) moves and cancels these. Shape arithmetic and other nodes whose inputs are all
  // known are folded. Float tensors that a node trains become parameters with their Origin;
  // BatchNorm's running statistics are constants. Throws one Error that lists all unsupported nodes
  // (name and operator) at once.
  virtual Graph import(const ImportOptions& options) const = 0;

  // The elements of a tensor of floats that the model holds, in the model's order. Throws Error
  // where there is none of this name.
  virtual std::vector<double> reals(const std::string& tensor) const = 0;

  // The bytes of the model as ONNX, with other contents in some of its tensors, rounded to the
  // element types that these have. Everything else stays as it is, bit for bit; data that lay
  // beside the file move into it. `imported` is what the contents were trained with: elements that
  // its type does not tell from the old ones keep their own precision. Where a tensor is fresh it
  // gets its new size, and the outputs their new number of classes. Throws Error where the model
  // fixes the old number in a way that cannot be followed.
  virtual std::string with_tensors(const std::vector<ModelTensor>& tensors,
                                   const ImportOptions& imported) const = 0;
  // The same in the model's own format, where that is another: "tflite". Throws Error where the
  // format cannot hold the contents.
  virtual std::string in_own_format(const std::vector<ModelTensor>& tensors,
                                    const ImportOptions& imported) const;
  virtual std::string own_format() const { return "onnx"; }

  // The name of a file of class names, one a line, in the zip archive that is the end of the
  // model's file; empty where there is none.
  virtual std::string label_file() const { return ""; }

 protected:
  Model(std::string path, uint64_t hash) : path_(std::move(path)), hash_(hash) {}
  Model(const Model&) = default;
  Model& operator=(const Model&) = default;

 private:
  std::string path_;
  uint64_t hash_;
};
using ModelPtr = std::shared_ptr<const Model>;

// Throws Error where the file is missing, truncated, no model, or refers to data beside it that are
// missing.
ModelPtr load_model(const std::string& path);
// The same from bytes in memory. `path` names the model in errors; external data lies beside it.
ModelPtr parse_model(std::string_view bytes, const std::string& path);

}  // namespace attune
