#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "attune/session.h"
#include "attune/status.h"

// Models to plans and back, as `attune compile` and `attune export` do it, for programs that link
// attune::compiler. docs/command.md says what each setting may be; what it is not, is an error.
namespace attune {

struct CompilerSettings {
  std::string scheme = "head";         // full, head, last:K, bias:K, names:A,B, JSON or its file
  std::string loss;                    // empty: the one for how the model ends
  std::string optimizer = "momentum";  // of 0.9; sgd, adam, adamw
  int batch = 8;                       // examples of a training step
  int micro_batch = 0;                 // > 0: so many at a time
  int predict_batch = 1;
  int classes = 0;  // > 0: a fresh last layer for so many
  std::vector<std::string> class_names;
  std::string preprocess = "none";  // none, imagenet:224x224, mfcc, ... or a JSON file
  // > 0: the arena may have this many bytes; what makes it smaller is done as far as needed.
  int64_t arena_bytes = 0;
};

// Makes a plan of a model's file, .onnx or .tflite. Its bytes are what Plan::load reads from a file;
// Plan::from_memory wants them aligned.
Status compile_model(const std::string& model, const CompilerSettings& settings,
                     std::vector<std::byte>* plan);

// Writes the model with what the session has learned. The format is the model's, or ONNX.
Status export_trained(const std::string& model, const Session& session, const std::string& path);

}  // namespace attune
