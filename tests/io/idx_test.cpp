#include <doctest/doctest.h>

#include <filesystem>

#include "tests/support/files.h"

namespace attune::test {
namespace {

// Two images of 2 x 3.
const Bytes kImages = idx({2, 2, 3}, {0, 51, 102, 153, 204, 255, 6, 5, 4, 3, 2, 1});
const Bytes kLabels = idx({2}, {1, 0});

TEST_CASE("IDX files are read plain, gzipped and mixed") {
  for (const bool images_gz : {false, true}) {
    for (const bool labels_gz : {false, true}) {
      TempFolder folder;
      const std::string images =
          folder.write(images_gz ? "train-images-idx3-ubyte.gz" : "train-images-idx3-ubyte",
                       images_gz ? gzip(kImages) : kImages);
      folder.write(labels_gz ? "train-labels-idx1-ubyte.gz" : "train-labels-idx1-ubyte",
                   labels_gz ? gzip(kLabels) : kLabels);
      for (const std::string& path : {images, folder.path()}) {
        const std::unique_ptr<Dataset> data = open(path, plain_request({1, 2, 3}, 2));
        CHECK(data->size() == 2);
        CHECK(input_of<float>(*data, 0, 6) ==
              std::vector<float>{0, 51 / 255.0f, 102 / 255.0f, 153 / 255.0f, 204 / 255.0f, 1});
        CHECK(class_of(*data, 0, 24) == 1);
        CHECK(class_of(*data, 1, 24) == 0);
        CHECK(data->describe(1) == images + "[1]");
      }
    }
  }
}

TEST_CASE("names with a point instead of the first hyphen are found, too") {
  TempFolder folder;
  const std::string images = folder.write("t10k-images.idx3-ubyte", kImages);
  folder.write("t10k-labels-idx1-ubyte.gz", gzip(kLabels));
  CHECK(open(images, plain_request({6}, 2))->labelled());
}

TEST_CASE("IDX bytes become the model's type") {
  TempFolder folder;
  const std::string images = folder.write("images-idx3-ubyte", kImages);
  folder.write("labels-idx1-ubyte", kLabels);
  DatasetRequest request = plain_request({6}, 2);
  request.inputs[0].dtype = DType::f64;
  CHECK(input_of<double>(*open(images, request), 0, 6)[1] == 51 / 255.0);
  request.inputs[0].dtype = DType::u8;
  CHECK(input_of<uint8_t>(*open(images, request), 1, 6) == std::vector<uint8_t>{6, 5, 4, 3, 2, 1});
  request.inputs[0].dtype = DType::i32;
  CHECK(contains(open_error(images, request), "takes i32"));
}

TEST_CASE("with an image front end IDX images are resized and fill the channels") {
  TempFolder folder;
  const std::string images = folder.write("images-idx3-ubyte", idx({1, 1, 2}, {0, 100}));
  folder.write("labels-idx1-ubyte", idx({1}, {0}));
  const std::unique_ptr<Dataset> data = open(images, image_request(4, 1, 3, {"a", "b"}));
  const std::vector<uint8_t> expected{0, 0, 0, 25, 25, 25, 75, 75, 75, 100, 100, 100};
  CHECK(input_of<uint8_t>(*data, 0, 12) == expected);
  CHECK(input_of<uint8_t>(*data, 0, 12) == expected);  // from the cache
}

TEST_CASE("IDX images with channels last are not taken for channels first") {
  TempFolder folder;
  const std::string images =
      folder.write("images-idx4-ubyte", idx({1, 1, 2, 3}, {1, 2, 3, 4, 5, 6}));
  folder.write("labels-idx1-ubyte", idx({1}, {0}));
  CHECK(input_of<uint8_t>(*open(images, image_request(2, 1, 3, {"a"})), 0, 6) ==
        std::vector<uint8_t>{1, 2, 3, 4, 5, 6});
  CHECK(open_error(images, plain_request({1, 2, 3}, 1)) == "");
  CHECK(contains(open_error(images, plain_request({3, 1, 2}, 1)), "u8 [1,2,3]"));
}

TEST_CASE("IDX files cut at any length are errors") {
  TempFolder folder;
  const DatasetRequest request = plain_request({6}, 2);
  for (const bool gz : {false, true}) {
    const Bytes images = gz ? gzip(kImages) : kImages, labels = gz ? gzip(kLabels) : kLabels;
    folder.write("labels-idx1-ubyte", labels);
    for (size_t length = 0; length < images.size(); ++length) {
      CAPTURE(length);
      CHECK(open_error(folder.write("images-idx3-ubyte", first(images, length)), request) != "");
    }
    const std::string whole = folder.write("images-idx3-ubyte", images);
    CHECK(open_error(whole, request) == "");
    for (size_t length = 0; length < labels.size(); ++length) {
      CAPTURE(length);
      folder.write("labels-idx1-ubyte", first(labels, length));
      CHECK(open_error(whole, request) != "");
    }
  }
}

TEST_CASE("hostile IDX headers are errors") {
  TempFolder folder;
  const DatasetRequest request = plain_request({6}, 2);
  const auto error = [&](const Bytes& file) {
    return open_error(folder.write("images-idx3-ubyte", file), request);
  };
  folder.write("labels-idx1-ubyte", kLabels);
  const uint32_t huge = 0xffffffff;
  CHECK(contains(error(idx({huge, huge, huge}, {1})), "do not fit a file"));
  CHECK(contains(error(gzip(idx({huge, huge, 1}, {1}))), "do not fit a file"));
  CHECK(contains(error(gzip(idx({1 << 20, 2, 3}, {1}))), "do not fit a file"));
  CHECK(contains(error(idx({0, 2, 3}, {})), "holds no image"));
  CHECK(contains(error(idx({2, 0, 3}, {})), "holds no image"));
  CHECK(contains(error(idx({2}, {1, 2})), "holds no images"));
  CHECK(contains(error(idx({1, 2, 3}, {1, 2, 3, 4, 5, 6, 7})), "more bytes"));
  CHECK(contains(error(gzip(idx({1, 2, 3}, {1, 2, 3, 4, 5, 6, 7}))), "more bytes"));
  CHECK(contains(error(idx({1, 1, 6}, {1, 2, 3, 4, 5, 6})), "labels of shape [2] for 1 images"));
  CHECK(contains(error(idx({1, 1, 5}, {1, 2, 3, 4, 5})), "takes f32 [6]"));
  Bytes wrong_type = kImages;
  wrong_type[2] = std::byte{0x0d};
  CHECK(contains(error(wrong_type), "type 0x0d"));
  Bytes text;
  put(&text, "some text");
  CHECK(contains(error(text), "not an IDX file"));
}

TEST_CASE("a damaged gzip file is an error") {
  TempFolder folder;
  folder.write("labels-idx1-ubyte", kLabels);
  Bytes images = gzip(kImages);
  images[images.size() - 6] ^= std::byte{1};  // in the sum
  CHECK(contains(open_error(folder.write("images-idx3-ubyte.gz", images), plain_request({6}, 2)),
                 "damaged"));
}

TEST_CASE("IDX labels must be there and be classes") {
  TempFolder folder;
  const std::string images = folder.write("train-images-idx3-ubyte.gz", gzip(kImages));
  DatasetRequest request = plain_request({6}, 2);
  CHECK(contains(open_error(images, request), "train-labels-idx1-ubyte.gz"));
  request.labels_optional = true;
  CHECK(!open(images, request)->labelled());
  const std::string labels = folder.write("train-labels-idx1-ubyte", idx({2}, {0, 2}));
  CHECK(contains(open_error(images, request), "[1]: label 2"));
  CHECK(contains(open_error(labels, request), "holds labels"));
}

TEST_CASE("a folder with several IDX images asks for one") {
  TempFolder folder;
  folder.write("train-images-idx3-ubyte.gz", gzip(kImages));
  folder.write("train-images-idx3-ubyte", kImages);  // the same once more
  folder.write("train-labels-idx1-ubyte", kLabels);
  CHECK(open(folder.path(), plain_request({6}, 2))->size() == 2);
  folder.write("t10k-images-idx3-ubyte", kImages);
  const std::string error = open_error(folder.path(), plain_request({6}, 2));
  CHECK(contains(error, "t10k-images-idx3-ubyte, train-images-idx3-ubyte"));
  CHECK(contains(error, "give the path of one"));
}

TEST_CASE("Fashion-MNIST is read whole") {
  const std::string path = ATTUNE_SOURCE_DIR "/../shared/data/fashion_mnist";
  if (!std::filesystem::exists(path)) {
    MESSAGE("skipped: no ../shared/data/fashion_mnist");
    return;
  }
  const std::unique_ptr<Dataset> data =
      open(path + "/t10k-images-idx3-ubyte.gz", plain_request({1, 28, 28}, 10));
  CHECK(data->size() == 10000);
  std::vector<int> count(10);
  for (int64_t i = 0; i < data->size(); ++i)
    ++count[static_cast<size_t>(class_of(*data, i, 28 * 28 * sizeof(float)))];
  CHECK(count == std::vector<int>(10, 1000));
  CHECK(contains(open_error(path, plain_request({1, 28, 28}, 10)), "several image files"));
}

}  // namespace
}  // namespace attune::test
