#include "sparse_update/compile.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "cli/output_file.h"
#include "cli/seed.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "engine/plan_generated.h"
#include "engine/plan_tensor.h"
#include "sparse_update/preprocess_spec.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  attune compile mobilenet.onnx -o flowers.att --scheme last:2 --classes 5 --labels flowers.txt
      --preprocess imagenet --batch-size 16
  attune compile kws.onnx -o kws.att --scheme full --labels words --preprocess mfcc
      --optimizer adam
  attune compile net.onnx -o net.att --scheme scheme.json --input-shape image:1x3x96x96

Schemes:
  full      every float parameter
  head      the classifier
  last:K    the classifier, and all parameters of the K layers before it
  bias:K    the classifier, and the biases of the K layers before it
  FILE      JSON: {"head": true, "bias_last": K, "weights_last": K,
                   "layers": [{"layer": 21, "input_channels": 0.5}],
                   "parameters": [{"name": "conv1.weight", "output_channels": [0, 3]}]}
Preprocessing:
  none, imagenet[:WxH], unit:WxH[xC] (x / 255), signed:WxH[xC] (x / 127.5 - 1), mfcc, or
  FILE      JSON: {"image": {"width": 224, "height": 224, "channels": 3, "resize": "center_crop",
                   "resize_shorter": 256, "order": "RGB", "mean": [..], "std": [..]}}
            or {"mfcc": {"sample_rate": 16000, "samples": 16000, ...}}; mean and std act on x / 255)";

struct Options {
  std::string model, plan, loss = "cross_entropy", optimizer = "momentum", labels,
                           preprocess = "none", tiling = "off", strips = "off";
  std::vector<std::string> input_shapes;
  double momentum = 0.9;
  bool nesterov = false;
  CompileOptions compile;
  OutputOptions output;
  CLI::App* verb = nullptr;
};

// "NAME:1x3x224x224"; the name may hold colons itself.
std::pair<std::string, std::vector<int64_t>> parse_input_shape(const std::string& text) {
  const auto fail = [&] {
    throw_error("--input-shape {}: give NAME:DIMxDIMx..., e.g. input:1x3x224x224", text);
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) fail();
  std::vector<int64_t> dims;
  const char *at = text.data() + colon + 1, *const end = text.data() + text.size();
  for (;;) {
    int64_t dim = 0;
    const auto [next, error] = std::from_chars(at, end, dim);
    if (error != std::errc() || dim < 1 || dim > INT32_MAX) fail();
    dims.push_back(dim);
    if (next == end) break;
    if (*next != 'x') fail();
    at = next + 1;
  }
  return {text.substr(0, colon), dims};
}

// One name a line; or the names of a folder's class folders.
std::vector<std::string> read_class_names(const std::string& path) {
  std::vector<std::string> names;
  std::error_code failure;
  if (std::filesystem::is_directory(path, failure)) {
    throw_if_error(list_class_folders(path, &names));
    return names;
  }
  std::ifstream file;
  // Asked before it is opened: opening a named pipe would wait for a writer.
  if (std::filesystem::is_regular_file(path, failure)) file.open(path);
  if (!file.is_open())
    throw_error(
        "--labels {}: cannot be read; give a file with one class name a line, or a folder "
        "of class folders",
        path);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    names.push_back(line);
  }
  while (!names.empty() && names.back().empty()) names.pop_back();
  if (names.empty()) throw_error("--labels {}: holds no class names", path);
  return names;
}

CompileOptions compile_options(const Options& options) {
  CompileOptions result = options.compile;
  result.loss = parse_loss(options.loss);
  result.tile = options.tiling == "auto";
  result.split_gradients = options.strips == "auto";
  result.optimizer.kind = parse_optimizer(options.optimizer);
  const bool momentum = result.optimizer.kind == OptimizerKind::momentum;
  if (!momentum && (options.verb->count("--momentum") > 0 || options.nesterov))
    throw_error("--momentum and --nesterov are for --optimizer momentum, not {}",
                options.optimizer);
  if (!(options.momentum >= 0 && options.momentum < 1))
    throw_error("--momentum {}: give 0 or more, and less than 1", options.momentum);
  if (!(result.optimizer.weight_decay >= 0 && result.optimizer.weight_decay <= 1))
    throw_error("--weight-decay {}: give 0 .. 1", result.optimizer.weight_decay);
  result.optimizer.momentum = options.momentum;
  result.optimizer.nesterov = options.nesterov;
  for (const std::string& text : options.input_shapes) {
    const auto [name, dims] = parse_input_shape(text);
    if (!result.input_shapes.emplace(name, dims).second)
      throw_error("--input-shape: '{}' is given twice", name);
  }
  if (!options.labels.empty()) result.class_names = read_class_names(options.labels);
  result.preprocess = parse_preprocess(options.preprocess);
  return result;
}

// The same checks that a device makes, before the file is written.
void check_loads(std::span<const std::byte> bytes, const std::string& name, Plan* plan,
                 std::shared_ptr<std::byte>* memory) {
  const size_t room =
      (bytes.size() + kSegmentAlignment - 1) / kSegmentAlignment * kSegmentAlignment;
  memory->reset(static_cast<std::byte*>(std::aligned_alloc(kSegmentAlignment, room)),
                [](std::byte* p) { std::free(p); });
  if (!*memory) throw std::bad_alloc();
  std::memcpy(memory->get(), bytes.data(), bytes.size());
  throw_if_error(Plan::from_memory({memory->get(), bytes.size()}, name.c_str(), plan));
}

// What a program would take if each tensor that is given or computed had memory of its own.
uint64_t unplanned_bytes(const format::Program& program) {
  std::set<int32_t> own;
  for (const format::Port* port : *program.inputs()) own.insert(port->tensor());
  for (const format::Step* step : *program.steps())
    for (int32_t id : list_of(step->outputs()))
      if (id >= 0) own.insert(id);
  uint64_t bytes = 0;
  for (int32_t id : own) {
    const format::Tensor& tensor = *program.tensors()->Get(static_cast<unsigned>(id));
    if (tensor.segment() == format::Segment::arena) bytes += described_tensor(tensor).bytes();
  }
  return bytes;
}

// The training step's node during which most bytes of the arena are alive.
std::string peak_of(const Compiled& compiled) {
  const PlanProgram& train = compiled.contents.programs.front();
  const auto live = train.memory.storage.live_bytes(static_cast<int>(train.graph.nodes.size()));
  const auto at = std::max_element(live.begin(), live.end()) - live.begin() - 1;
  if (at < 0 || at >= static_cast<std::ptrdiff_t>(train.graph.nodes.size())) return "";
  const Node& node = train.graph.nodes[static_cast<size_t>(at)];
  return fmt::format("{} {}", op_name(node.op), node.name);
}

void report(const Options& options, const Plan& plan, const std::string& peak_step) {
  const format::Plan& table = plan.table();
  uint64_t trained = 0, parameters = table.parameters() ? table.parameters()->size() : 0;
  for (unsigned i = 0; i < parameters; ++i) {
    const format::Parameter& p = *table.parameters()->Get(i);
    uint64_t elements = 1;
    for (int32_t d : *p.shape()) elements *= static_cast<uint64_t>(d);
    if (p.slice_axis() >= 0)
      elements = elements /
                 static_cast<uint64_t>(p.shape()->Get(static_cast<unsigned>(p.slice_axis()))) *
                 p.slice()->size();
    trained += elements;
  }
  const format::Program* train = plan.program(ProgramKind::train_step);
  if (options.output.json) {
    Json json;
    json["plan"] = options.plan;
    json["file_bytes"] = plan.file_bytes();
    json["trained_parameters"] = parameters;
    json["trained_elements"] = trained;
    json["class_count"] = table.class_count();
    json["constants_bytes"] = table.constants_bytes();
    json["state_bytes"] = table.state_bytes();
    json["arena_bytes"] = table.arena_bytes();
    json["arena_lower_bound"] = train ? train->arena_lower_bound() : 0;
    json["arena_unplanned_bytes"] = train ? unplanned_bytes(*train) : 0;
    json["peak"] = peak_step;
    json["train_steps"] = train ? train->steps()->size() : 0;
    json["signature"] = fmt::format("{:016x}", table.signature());
    print_json(json);
    return;
  }
  if (options.output.quiet) return;
  Table rows({"", ""});
  rows.row({"plan", fmt::format("{}, {}", options.plan, bytes_text(plan.file_bytes()))});
  rows.row({"trains", fmt::format("{} elements of {} parameters, by {}", count_text(trained),
                                  parameters, text_of(table.optimizer()))});
  if (table.class_count() > 0) rows.row({"classes", std::to_string(table.class_count())});
  rows.row({"preprocessing", preprocess_text(plan.preprocess())});
  rows.row({"constants", bytes_text(table.constants_bytes())});
  rows.row({"state", bytes_text(table.state_bytes())});
  rows.row({"arena", bytes_text(table.arena_bytes())});
  fmt::print("{}", rows.text());
}

int run(const Options& options) {
  check_replaceable(options.plan, "a plan", is_plan_file);
  const CompileOptions compile_with = compile_options(options);
  const OnnxModel model = OnnxModel::load(options.model);
  const Compiled compiled = compile(model, compile_with);
  Plan plan;
  std::shared_ptr<std::byte> memory;
  check_loads(compiled.plan, options.plan, &plan, &memory);
  write_file(options.plan, compiled.plan);
  report(options, plan, peak_of(compiled));
  plan = Plan();
  return 0;
}

}  // namespace

Verb add_compile(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CompileOptions& compile = options->compile;
  CLI::App* verb = add_verb(app, "compile", "Make a training plan of a model", kExamples);
  options->verb = verb;
  verb->add_option("model", options->model, "The model (.onnx)")->required();
  verb->add_option("-o,--output", options->plan, "The plan to write (.att)")->required();
  verb->add_option("--scheme", compile.scheme, "What to train; see below");
  verb->add_option("--loss", options->loss, "cross_entropy or mean_squared_error");
  verb->add_option("--optimizer", options->optimizer, "sgd, momentum, adam or adamw");
  verb->add_option("--momentum", options->momentum, "Of --optimizer momentum");
  verb->add_flag("--nesterov", options->nesterov, "Nesterov's momentum")
      ->always_capture_default(false);
  verb->add_option("--weight-decay", compile.optimizer.weight_decay, "Weight decay");
  verb->add_option("--batch-size", compile.batch, "Examples in a training step");
  verb->add_option("--micro-batch", compile.micro_batch,
                   "Go through the batch so many examples at a time, add up the gradients, and "
                   "update once: less memory, more steps (default: all at once)")
      ->check(CLI::Range(1, 65536))
      ->always_capture_default(false);
  verb->add_option("--input-shape", options->input_shapes,
                   "NAME:1x3x224x224, for an input whose size the model leaves open; again for "
                   "another input")
      ->always_capture_default(false);
  verb->add_option("--classes", compile.classes,
                   "Replace the last layer by a fresh one for so many classes (default: keep it)")
      ->check(CLI::Range(1, 1000000))
      ->always_capture_default(false);
  verb->add_option("--seed", compile.seed, "Of the fresh layer's weights")->check(is_seed());
  verb->add_option("--labels", options->labels,
                   "Class names, one a line, or a folder of class folders (default: numbers)")
      ->always_capture_default(false);
  verb->add_option("--preprocess", options->preprocess,
                   "How raw data becomes the model's input; see below");
  verb->add_option("--memory-tiling", options->tiling,
                   "auto: compute the first layers a few rows at a time where that makes the arena "
                   "smaller, at the price of more steps; off: whole layers")
      ->check(CLI::IsMember({"auto", "off"}));
  verb->add_option("--gradient-strips", options->strips,
                   "auto: compute gradients of weights some output channels at a time, and update "
                   "these at once, where that makes the arena smaller; off: whole gradients")
      ->check(CLI::IsMember({"auto", "off"}));
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
