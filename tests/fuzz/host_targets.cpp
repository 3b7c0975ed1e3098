// What the compiler reads: models, and JSON that says what to do with them.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "graph/import/model.h"
#include "graph/ir/error.h"
#include "graph/passes/passes.h"
#include "sparse_update/json_file.h"
#include "sparse_update/pipeline/compile.h"
#include "sparse_update/scheme.h"
#include "tests/fuzz/targets.h"

namespace attune::fuzz {
namespace {

std::string_view text_of(Input input) {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}

// An Error is the right answer to most bytes, but not to say that the fault is ours: unless these
// are names in the input, as libFuzzer finds.
template <class F>
void expect_errors_only(std::string_view input, const F& f) {
  constexpr std::string_view kOurs = "(a bug of Attune)";
  try {
    f();
  } catch (const Error& error) {
    if (std::string_view(error.what()).find(kOurs) != kOurs.npos && input.find(kOurs) == kOurs.npos)
      abort();
  }
}

void import_model(std::string_view bytes, const char* path) {
  expect_errors_only(bytes, [&] {
    const ModelPtr model = parse_model(bytes, path);
    model->label_file();
    ImportOptions options;
    options.batch = 2;
    Graph graph = model->import(options);
    graph.verify();
    to_channels_last(graph);
    graph.verify();
    fold_constants(graph);
    graph.verify();
  });
}

}  // namespace

void onnx(Input input) {
  // The first bytes of a TFLite file would make it one.
  if (input.size() >= 8 && text_of(input).substr(4, 4) == "TFL3") return;
  import_model(text_of(input), "model.onnx");
}

void tflite(Input input) {
  std::string bytes(text_of(input));
  bytes.resize(std::max<size_t>(bytes.size(), 8));
  std::memcpy(bytes.data() + 4, "TFL3", 4);
  import_model(bytes, "model.tflite");
}

void json(Input input) {
  static const Graph graph = [] {
    const ModelPtr model = load_model(ATTUNE_SOURCE_DIR "/examples/keyword_spotting/kws.onnx");
    return forward_graph(*model, {}, 1);
  }();
  const std::string text(text_of(input));
  expect_errors_only(text, [&] { (void)shown_json(read_json_text(text, "text")); });
  (void)parse_plan_json(text.c_str());
  expect_errors_only(text, [&] { (void)parse_scheme(text, graph).json(); });
}

}  // namespace attune::fuzz
