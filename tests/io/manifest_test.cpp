#include <doctest/doctest.h>

#include "tests/support/files.h"

namespace attune::test {
namespace {

// A folder with images a.png and "b, c.png" of shades 1 and 2.
class ManifestFolder {
 public:
  ManifestFolder() {
    folder_.write("images/a.png", grey_png(1, 1, 1));
    folder_.write("images/b, c.png", grey_png(1, 1, 2));
  }
  std::string write(std::string_view text) { return folder_.write("list.csv", text); }
  const TempFolder& folder() const { return folder_; }

 private:
  TempFolder folder_;
};

std::vector<int32_t> classes(const std::string& path, const DatasetRequest& request) {
  const std::unique_ptr<Dataset> data = open(path, request);
  std::vector<int32_t> result;
  for (int64_t i = 0; i < data->size(); ++i) result.push_back(class_of(*data, i, 1));
  return result;
}

TEST_CASE("a manifest gives paths beside it and labels by name") {
  ManifestFolder list;
  const std::string path = list.write("path,label\nimages/a.png,cat\n\"images/b, c.png\",dog\n");
  const std::unique_ptr<Dataset> data = open(path, image_request(1, 1, 1, {"dog", "cat"}));
  REQUIRE(data->size() == 2);
  CHECK(class_of(*data, 0, 1) == 1);
  CHECK(class_of(*data, 1, 1) == 0);
  CHECK(input_of<uint8_t>(*data, 1, 1) == std::vector<uint8_t>{2});
  CHECK(data->describe(1) == list.folder().path("images/b, c.png"));
}

TEST_CASE("line ends, marks, blanks and quotes of a manifest may vary") {
  ManifestFolder list;
  const DatasetRequest request = image_request(1, 1, 1, {"a \"b\", c", "d"});
  const std::vector<int32_t> expected{0, 1};
  CHECK(classes(list.write("\xef\xbb\xbf\"path\", label\r\nimages/a.png,\"a \"\"b\"\", c\"\r\n\r\n"
                           " images/a.png , d"),
                request) == expected);
  CHECK(classes(list.write("images/a.png , \"a \"\"b\"\", c\" \n\n\t\n" +
                           list.folder().path("images/a.png") + ",1"),
                request) == expected);
}

TEST_CASE("labels that are no names are numbers, but names go first") {
  ManifestFolder list;
  const std::string path = list.write("images/a.png,1\nimages/a.png,0\nimages/a.png,2\n");
  CHECK(classes(path, image_request(1, 1, 1, {"1", "x", "y"})) == std::vector<int32_t>{0, 0, 2});
  DatasetRequest unnamed = image_request(1, 1, 1, {});
  unnamed.classes = 3;
  CHECK(classes(path, unnamed) == std::vector<int32_t>{1, 0, 2});
  unnamed.classes = 2;
  CHECK(contains(open_error(path, unnamed), "list.csv:3: label 2"));
  const std::string named = list.write("images/a.png,cat");
  CHECK(contains(open_error(named, unnamed), "label `cat` is no number and the plan names no"));
}

TEST_CASE("manifests of WAV files go through the MFCC front end") {
  TempFolder folder;
  folder.write("a.wav", wav16({1, 2, 3}));
  const std::unique_ptr<Dataset> data =
      open(folder.write("list.csv", "a.wav,yes\n"), mfcc_request({"no", "yes"}));
  CHECK(class_of(*data, 0, 1960) == 1);
}

TEST_CASE("regression targets are the numbers after the path") {
  ManifestFolder list;
  DatasetRequest request = image_request(1, 1, 1, {});
  request.target = Shape{2};
  const std::unique_ptr<Dataset> data =
      open(list.write("images/a.png,0.5,-1e3\nimages/a.png,1,2\n"), request);
  float target[2];
  REQUIRE(data->read(0, kTargetField, std::as_writable_bytes(std::span(target))));
  CHECK(target[0] == 0.5f);
  CHECK(target[1] == -1000.0f);
  const auto error = [&](std::string_view text) { return open_error(list.write(text), request); };
  CHECK(contains(error("images/a.png,1\n"), "list.csv:1: 1 numbers after the path"));
  CHECK(contains(error("images/a.png,1,x\n"), "`x` is no number"));
  CHECK(contains(error("images/a.png,1,nan\n"), "is NaN"));
  CHECK(contains(error("images/a.png,1,1e39\n"), "outside its range"));
}

TEST_CASE("manifest errors name the line") {
  ManifestFolder list;
  const DatasetRequest request = image_request(1, 1, 1, {"dog", "cat"});
  const auto error = [&](std::string_view text) { return open_error(list.write(text), request); };
  CHECK(contains(error(""), "lists no example"));
  CHECK(contains(error("path,label\n"), "lists no example"));
  CHECK(contains(error("images/a.png,dog\nimages/a.png,bird\n"),
                 "list.csv:2: unknown class `bird`; the model knows dog, cat"));
  CHECK(contains(error("images/a.png,-1\n"), "list.csv:1: label -1"));
  CHECK(contains(error("images/a.png,99999999999999999999\n"), "unknown class"));
  CHECK(contains(error("images/a.png\n"), "list.csv:1: 0 fields"));
  CHECK(contains(error("images/a.png,\n"), "list.csv:1: 1 fields"));
  CHECK(contains(error("images/a.png,dog,cat\n"), "list.csv:1: 2 fields"));
  CHECK(contains(error(",dog\n"), "list.csv:1: no path"));
  CHECK(contains(error("\n\"images/a.png,dog\n"), "list.csv:2: a quote is not closed"));
  CHECK(contains(error("\"images/a.png\"x,dog\n"), "a quote is not closed or text follows"));
  CHECK(contains(error("images/none.png,dog\n"), "list.csv:1: "));
  CHECK(contains(error("images/none.png,dog\n"), "none.png: no such file"));
  CHECK(contains(error("images,dog\n"), "is a folder"));
  CHECK(contains(error(std::string_view("a\0b,dog\n", 8)), "zero byte"));
  const std::string header_later = "images/a.png,dog\npath,label\n";
  CHECK(contains(error(header_later), "list.csv:2: unknown class `label`"));
}

TEST_CASE("a manifest labels all lines or, for prediction, none") {
  ManifestFolder list;
  DatasetRequest request = image_request(1, 1, 1, {"dog", "cat"});
  request.labels_optional = true;
  CHECK(!open(list.write("path\nimages/a.png\nimages/a.png\n"), request)->labelled());
  CHECK(open(list.write("images/a.png,dog\n"), request)->labelled());
  CHECK(contains(open_error(list.write("images/a.png,dog\nimages/a.png\n"), request),
                 "labels only 1 of 2 lines"));
}

}  // namespace
}  // namespace attune::test
