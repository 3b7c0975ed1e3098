// A network trained on ImageNet learns Fashion-MNIST: MCUNet with a fresh classifier.
#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>

#include "tests/real_data/support.h"

namespace attune::test {
namespace {

namespace fs = std::filesystem;

// Test accuracy in percent after three epochs over the first 2,000 training images.
double transfer(const std::string& scheme, double rate) {
  const fs::path shared = shared_folder(), data = shared / "data" / "fashion_mnist";
  CompileOptions options;
  options.scheme = scheme;
  options.classes = 10;
  options.preprocess.front_end = FrontEnd::image;
  ImagePreprocess& image = options.preprocess.image;
  image.width = image.height = 128;
  for (int c = 0; c < 3; ++c) image.scale[c] = 1 / 127.5f, image.offset[c] = -1;
  Learner learner(*load_model(shared / "models" / "mcunet-5fps-f32.onnx"), options);
  const auto train = learner.open(data / "train-images-idx3-ubyte.gz");
  const auto test = learner.open(data / "t10k-images-idx3-ubyte.gz");
  Part train_part(*train, 0, 2000), test_part(*test, 0, 1000);
  learner.train(train_part, 3, rate);
  const double accuracy = learner.accuracy(test_part);
  std::printf("%s, rate %g: %.1f %%\n", scheme.c_str(), rate, accuracy);
  return accuracy;
}

}  // namespace

TEST_CASE("a fresh classifier on frozen MCUNet learns Fashion-MNIST") {
  if (!have_shared_folder()) return;
  CHECK(transfer("head", 0.006) >= 82.0);
}

TEST_CASE("a sparse scheme of biases and first pointwise weights learns more") {
  if (!have_shared_folder()) return;
  const fs::path scheme = fs::temp_directory_path() / "attune_mcunet_scheme.json";
  std::ofstream(scheme) << R"({"bias_last": 22, "layers": [{"layer": 21}, {"layer": 24},
    {"layer": 27}, {"layer": 30}, {"layer": 33}, {"layer": 36}, {"layer": 39}]})";
  CHECK(transfer(scheme, 0.0005) >= 85.0);
  fs::remove(scheme);
}

}  // namespace attune::test
