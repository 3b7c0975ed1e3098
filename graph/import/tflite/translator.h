#pragma once

#include <onnx/onnx_pb.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "graph/import/tflite/tflite_file.h"
#include "graph/ir/perm.h"

namespace attune {

// Where an initializer of the translation came from: the elements of a tensor of the file, seen in
// this shape, of which axis i of the initializer is axis perm[i].
struct Weight {
  int32_t tensor = 0;
  Dims view;
  Perm perm;
};

struct Translation {
  std::shared_ptr<const onnx::ModelProto> proto;
  std::map<std::string, Weight> weights;  // by initializer
  std::vector<Dims> dims;                 // of each tensor of the file
};

// TFLite to ONNX. Throws one Error that lists all operators that cannot be translated.
Translation translate(const std::shared_ptr<const TfliteFile>& file);

// What became of a tensor of the file. Its `dims` are those that TFLite computes for one example:
// they are inferred, as files tell nothing but 1 of what they do not know.
struct TfliteTensor {
  std::string name;  // unique
  Dims dims;
  ElementType type = ElementType::f32;
  KnownPtr known;       // a constant, or computed from such
  int32_t source = -1;  // the tensor of the file whose elements those of `known` are
  // Where it is computed from the model's inputs: the values of ONNX that hold it, by their shapes
  // without the batch in front.
  std::deque<std::pair<Dims, std::string>> forms;
  std::string image;  // of [1,H,W,C]: the value of shape [N,C,H,W], or empty
  bool failed = false;
};

// The shape of one example in ONNX: [1,..] is the batch's own axis, else the batch comes before.
Dims example(const Dims& dims);

// The state of one translation.
class Translator {
 public:
  explicit Translator(const std::shared_ptr<const TfliteFile>& file);
  Translation run();

  TfliteTensor& tensor(int32_t index) { return tensors_.at(static_cast<size_t>(index)); }
  const TfliteFile& file() const { return *file_; }
  const std::shared_ptr<const TfliteFile>& shared_file() const { return file_; }
  // A new node after all others, with one output of that name, made unique.
  onnx::NodeProto& add_node(const std::string& type, const std::vector<std::string>& inputs,
                            const std::string& output);
  std::string unique(const std::string& name);
  // Initializers: what is known of a tensor with its axes permuted, and others.
  std::string weight(int32_t index, const Perm& perm);
  std::string ints(const Dims& values);
  std::string real(double value);

 private:
  void add_initializer(const KnownTensor& known, const std::string& name, const Perm& perm);
  void add_inputs();
  void translate_operators();
  void add_outputs();
  std::string signature_name(bool input, int32_t index) const;
  bool is_given(const std::string& name) const;
  void rename(const std::string& from, const std::string& to);
  void add_port(onnx::ValueInfoProto* info, const TfliteTensor& tensor, const std::string& name);

  std::shared_ptr<const TfliteFile> file_;
  std::shared_ptr<onnx::ModelProto> proto_;
  std::vector<TfliteTensor> tensors_;
  std::unordered_set<std::string> names_;
  std::map<std::string, Weight> weights_;
  // Initializers, by what they hold.
  std::map<std::pair<int32_t, Perm>, std::string> layouts_;
  std::map<Dims, std::string> ints_;
  std::map<double, std::string> reals_;
};

}  // namespace attune
