// Honest inputs, small ones, made by our own writers where we have them.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include "attune/checkpoint.h"
#include "attune/session.h"
#include "sparse_update/pipeline/compile.h"
#include "tests/fuzz/targets.h"
#include "tests/support/encoded_sound.h"
#include "tests/support/npz.h"
#include "tests/support/onnx_builder.h"
#include "tests/support/pictures.h"
#include "tests/support/tflite_builder.h"

namespace attune::fuzz {
namespace {

using test::Bytes;

Bytes bytes_of(std::string_view text) {
  Bytes bytes;
  test::put(&bytes, text);
  return bytes;
}

class Seeds {
 public:
  void add(const char* target, Bytes bytes) { list_.push_back({target, std::move(bytes)}); }
  void add(const char* target, std::string_view text) { add(target, bytes_of(text)); }
  std::vector<Seed> take() { return std::move(list_); }

 private:
  std::vector<Seed> list_;
};

OnnxBuilder small_convnet() {
  OnnxBuilder b;
  b.input("x", {-1, 2, 5, 5}).output("y");
  b.tensor("w", {3, 2, 3, 3}).tensor("bias", {3}).tensor("fc", {3, 2});
  b.node("Conv", {"x", "w", "bias"}, {"c"});
  b.node("Relu", {"c"}, {"r"});
  b.node("GlobalAveragePool", {"r"}, {"g"});
  b.node("Flatten", {"g"}, {"f"});
  b.node("MatMul", {"f", "fc"}, {"m"});
  b.node("Softmax", {"m"}, {"y"});
  return b;
}

OnnxBuilder small_mlp() {
  OnnxBuilder b;
  b.input("x", {-1, 3}).output("y");
  b.tensor("w1", {3, 4}).tensor("b1", {4}).tensor("w2", {4, 2});
  b.node("MatMul", {"x", "w1"}, {"h"});
  b.node("Add", {"h", "b1"}, {"a"});
  b.node("Tanh", {"a"}, {"t"});
  b.node("MatMul", {"t", "w2"}, {"y"});
  return b;
}

// Numbers that steer: shapes, slices, gathers, a condition.
OnnxBuilder small_shapes() {
  OnnxBuilder b;
  b.input("x", {-1, 4, 6}).output("y");
  b.ints("zero", {0}).ints("one", {1}).ints("to", {0, -1}).ints("columns", {2, 0, 1});
  b.tensor("w", {12, 2});
  b.node("Shape", {"x"}, {"shape"});
  b.node("Slice", {"shape", "zero", "one"}, {"lead"});
  set_int(b.node("Gather", {"x", "columns"}, {"chosen"}), "axis", 1);
  set_ints(b.node("Transpose", {"chosen"}, {"turned"}), "perm", {0, 2, 1});
  b.node("Reshape", {"turned", "to"}, {"flat"});
  b.ints("starts", {0}).ints("ends", {12}).ints("axes", {1});
  b.node("Slice", {"flat", "starts", "ends", "axes"}, {"part"});
  b.node("MatMul", {"part", "w"}, {"y"});
  return b;
}

void add_plans(Seeds* seeds) {
  for (const char* scheme : {"full", "head"}) {
    CompileOptions options;
    options.scheme = scheme;
    options.batch = 2;
    seeds->add("plan", compile(small_convnet().model(), options).plan);
    options.optimizer.kind = OptimizerKind::adam;
    options.loss = Loss::mean_squared_error;
    options.micro_batch = 1;
    seeds->add("plan", compile(small_mlp().model(), options).plan);
    seeds->add("plan", compile(small_shapes().model(), options).plan);
  }
}

void add_checkpoints(Seeds* seeds) {
  Plan plan;
  std::unique_ptr<Session> session;
  throw_if_error(Plan::load(ATTUNE_SOURCE_DIR "/tests/plan/golden/kws-2.0.att", &plan));
  throw_if_error(Session::create(plan, {}, &session));
  const test::TempFolder folder;
  const auto save = [&](const char* name, const CheckpointInfo& info, bool best) {
    const std::vector<std::byte> state(session->state().begin(), session->state().end());
    const std::string path = folder.path(name);
    throw_if_error(
        save_checkpoint(path.c_str(), *session, info,
                        best ? std::span<const std::byte>(state) : std::span<const std::byte>()));
    std::ifstream file(path, std::ios::binary);
    seeds->add("checkpoint", std::string(std::istreambuf_iterator<char>(file), {}));
  };
  CheckpointInfo info;
  save("start.atc", info, false);
  info.progress.step = 7, info.progress.epoch = 1, info.dataset_size = 20;
  info.keep_best = true, info.best.step = 3;
  save("best.atc", info, true);
}

NpyArray array_of(NpyType type, std::vector<int64_t> shape) {
  NpyArray array{type, std::move(shape), {}};
  array.bytes.resize(static_cast<size_t>(array.elements()) * npy_type_bytes(type));
  return array;
}

void add_data(Seeds* seeds) {
  NpzArrays arrays;
  arrays["x"] = array_of(NpyType::f32, {5, 4});
  arrays["y"] = array_of(NpyType::i64, {5});
  arrays["weights"] = array_of(NpyType::f32, {5});
  for (std::byte& byte : arrays["weights"].bytes) byte = std::byte{0x3f};
  seeds->add("npz", test::npz_of(arrays));
  const Bytes x = test::npy_of(arrays["x"]), y = test::npy_of(arrays["y"]);
  seeds->add("npz", test::zip_of({{"x.npy", x, true, false}, {"y.npy", y, true, true}}));
  for (const NpyType type : {NpyType::f16, NpyType::f64, NpyType::u8, NpyType::boolean})
    seeds->add("npy", test::npy_of(array_of(type, {2, 3})));
  seeds->add("npy", test::npy(1, test::header_of("<f4", "(2, 3)", true), Bytes(24)));

  const Bytes images = test::idx({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  seeds->add("idx", images);
  seeds->add("idx", test::gzip(images));

  seeds->add("csv", "1,2,3,4,0\n5,6,7,8,1\n9,1e3,-2,.5,2\n");
  seeds->add("csv", "a;b;c;label;weight\n1;2;red;0;0.5\n3;4;green;2;1\n");
  seeds->add("csv", "\xef\xbb\xbf\"a\",\"b\",\"c\",\"the \"\"label\"\"\"\r\n1,2,red,1\r\n");
  seeds->add("manifest", "path,label\na.pgm,cat\na.pgm,dog\n");
  seeds->add("manifest", "a.pgm,0\nnone.png,2\n");
}

void add_sounds(Seeds* seeds) {
  const std::vector<int16_t> samples = {0, 1000, -1000, 32767, -32768, 5};
  seeds->add("sound", test::wav16(samples));
  for (const auto& [code, bits] : {std::pair{1, 8}, {1, 24}, {3, 32}, {3, 64}, {6, 8}, {7, 8}})
    seeds->add("sound", test::wav({code, 2, bits, 8000, bits == 24}, Bytes(96)));
#ifdef ATTUNE_SNDFILE
  const std::vector<float> tone(2000, 0.25f);
  for (const int format :
       {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, SF_FORMAT_AIFF | SF_FORMAT_PCM_16,
        SF_FORMAT_AU | SF_FORMAT_FLOAT, SF_FORMAT_OGG | SF_FORMAT_VORBIS,
        SF_FORMAT_OGG | SF_FORMAT_OPUS, SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III,
        SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM, SF_FORMAT_RF64 | SF_FORMAT_PCM_16})
    seeds->add("sound", test::encoded(format, 1, 16000, tone));
#endif
}

void add_pictures(Seeds* seeds) {
  for (const test::Picture& picture : test::pictures()) {
    const Bytes file = test::from_hex(picture.hex);
    for (const auto& [begins, target] : {std::pair{"\x89PNG", "png"},
                                         {"\xff\xd8", "jpeg"},
                                         {"RIFF", "webp"},
                                         {"II", "tiff"},
                                         {"MM", "tiff"},
                                         {"GIF8", "gif"},
                                         {"BM", "bmp"},
                                         {"P", "pnm"}})
      if (std::memcmp(file.data(), begins, std::strlen(begins)) == 0) seeds->add(target, file);
  }
  seeds->add("png", test::png(3, 2, 4, std::vector<uint8_t>(24, 9)));
}

void add_models(Seeds* seeds) {
  for (const OnnxBuilder& builder : {small_convnet(), small_mlp(), small_shapes()})
    seeds->add("onnx", builder.bytes());
  TfliteBuilder b;
  int x = b.input({1, 6, 6, 2}, "x");
  x = b.op(tflite::BuiltinOperator::CONV_2D,
           {x, b.weights({3, 3, 3, 2}, "conv"), b.weights({3}, "bias")},
           {tflite::BuiltinOptions::Conv2DOptions,
            tflite::CreateConv2DOptions(b.builder(), tflite::Padding::SAME, 2, 2,
                                        tflite::Activation::RELU6)
                .Union()});
  x = b.op(tflite::BuiltinOperator::RESHAPE, {x, b.ints({2}, {1, 27})});
  const int w = b.int8({2, 27}, "dense", std::vector<int8_t>(54, 3), {0.1f, 0.2f}, {0, 0});
  b.output(b.op(tflite::BuiltinOperator::FULLY_CONNECTED, {x, w, b.weights({2}, "dense_bias")},
                {tflite::BuiltinOptions::FullyConnectedOptions,
                 tflite::CreateFullyConnectedOptions(b.builder()).Union()}));
  b.labels("labels.txt");
  std::string bytes = b.bytes();
  seeds->add("tflite", bytes);
  // Everything four bytes further, so that what was at multiples of eight is not; as valid.
  bytes[0] = static_cast<char>(bytes[0] + 4);
  bytes.insert(8, 4, '\0');
  seeds->add("tflite", bytes);
}

void add_json(Seeds* seeds) {
  for (const char* text :
       {R"({"bias_last": 4, "layers": [{"layer": 8, "input_channels": 0.5}]})",
        R"({"parameters": [{"name": "classifier.weight", "axis": 0, "channels": [0, 2]}]})",
        R"({"layers": [{"layer": "block*", "bias": true}], "head": false})",
        R"([1, -2.5e3, "A\n", null, true, {"a": {"b": []}}])"})
    seeds->add("json", text);
}

}  // namespace

std::vector<Seed> seeds() {
  Seeds all;
  add_plans(&all);
  add_checkpoints(&all);
  add_data(&all);
  add_sounds(&all);
  add_pictures(&all);
  add_models(&all);
  add_json(&all);
  return all.take();
}

}  // namespace attune::fuzz
