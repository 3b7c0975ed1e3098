#include <doctest/doctest.h>

#include "tests/support/files.h"
#include "tests/support/notes.h"

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
                           list.folder().path("images/a.png") + ",d"),
                request) == expected);
}

// A line for each label.
std::string lines(const std::vector<std::string>& labels) {
  std::string text;
  for (const std::string& label : labels) text.append("images/a.png,").append(label).append("\n");
  return text;
}

TEST_CASE("labels are names throughout, or numbers throughout") {
  ManifestFolder list;
  struct Row {
    std::vector<std::string> names, labels;
    std::vector<int32_t> classes;  // empty: an error
    const char* error;
  };
  const Row rows[] = {
      {{"1", "2", "3"}, {"1", "3", "2"}, {0, 2, 1}, ""},          // 3 is no number of a class
      {{"1", "2", "3"}, {"0", "2", "1"}, {0, 2, 1}, ""},          // 0 is no name
      {{"no", "yes"}, {"True", "False", "true"}, {1, 0, 1}, ""},  // as pandas writes truth
      {{"1", "2", "3"}, {"1", "2"}, {}, ":1: all labels are names of classes and numbers"},
      {{"0", "1", "2"}, {"1", "2", "0"}, {1, 2, 0}, ""},  // both readings are the same
      {{"0", "1", "10", "2"}, {"0", "1", "1"}, {0, 1, 1}, ""},
      {{"0", "1", "10", "2"}, {"0", "1", "2"}, {}, ":3: all labels are names"},
      {{"1", "x", "y"}, {"1", "0", "2"}, {1, 0, 2}, ""},
      {{"cat", "dog"}, {"1.0", "0.0", "1"}, {1, 0, 1}, ""},  // as pandas writes them
      {{"7", "8", "9"}, {"7.0", "9.0", "8.0"}, {0, 2, 1}, ""},
      {{"cat", "dog"},
       {"cat", "1"},
       {},
       ":2: labels are names or numbers, not both: `cat` in line 1 is"},
      {{"cat", "dog"}, {"0", "cat", "cat"}, {}, ":2: labels are names or numbers, not both"},
      {{"cat", "dog"}, {"cat", "Dog"}, {}, ":2: unknown class `Dog`; the model's is written `dog`"},
      {{"cat", "dog"}, {"cat", "\" dog \""}, {0, 1}, ""},
      {{"cat", "dog"}, {"cat", ""}, {}, ":2: no label"},
      {{"cat", "dog"}, {"0.5", "1"}, {}, ":1: unknown class `0.5`"},
      {{"cat", "dog"}, {"0", "2"}, {}, ":2: label 2, but the model's classes are 0 .. 1"},
      {{"cat", "dog"}, {"nan", "1"}, {}, ":1: unknown class `nan`"},
  };
  for (const Row& row : rows) {
    const std::string path = list.write(lines(row.labels));
    const DatasetRequest request = image_request(1, 1, 1, row.names);
    const std::string error = open_error(path, request);
    CAPTURE(error);
    if (*row.error != '\0') {
      CHECK(contains(error, row.error));
      continue;
    }
    REQUIRE(error == "");
    CHECK(classes(path, request) == row.classes);
  }
  DatasetRequest said = image_request(1, 1, 1, {"1", "2", "3"});
  const std::string path = list.write(lines({"1", "2"}));
  said.label_texts = LabelTexts::names;
  CHECK(classes(path, said) == std::vector<int32_t>{0, 1});
  said.label_texts = LabelTexts::numbers;
  CHECK(classes(path, said) == std::vector<int32_t>{1, 2});
}

TEST_CASE("without names of classes labels are numbers") {
  ManifestFolder list;
  const std::string path = list.write("images/a.png,1\nimages/a.png,0\nimages/a.png,2\n");
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

TEST_CASE("several labels of an example stand in columns of their own") {
  ManifestFolder list;
  DatasetRequest request = image_request(1, 1, 1, {});
  request.classes = 2;
  request.target = Shape{3};
  const std::string table = "file,warm,red,round\nimages/a.png,1,0,1\nimages/a.png,0,0,1.0\n";
  const auto check = [&](Dataset& data) {
    const int32_t expected[2][3] = {{1, 0, 1}, {0, 0, 1}};
    for (int64_t i = 0; i < 2; ++i) {
      int32_t labels[3];
      REQUIRE(data.read(i, kTargetField, std::as_writable_bytes(std::span(labels))));
      for (int k = 0; k < 3; ++k) CHECK(labels[k] == expected[i][k]);
    }
  };
  check(*open(list.write(table), request));
  request.label_column = "warm,red,round";
  check(*open(list.write(table), request));
  CHECK(contains(open_error(list.write("file,warm,red,round\nimages/a.png,1,0,2\n"), request),
                 "classes are 0 .. 1"));
  request.label_column = "warm,red";
  CHECK(
      contains(open_error(list.write(table), request), "names 2 columns, and the model learns 3"));
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
  CHECK(contains(error("images/a.png,99999999999999999999\n"), "list.csv:1: unknown class"));
  CHECK(contains(error("images/a.png\n"), "list.csv:1: 0 fields"));
  CHECK(contains(error("images/a.png,\n"), "list.csv:1: no label"));
  CHECK(contains(error("images/a.png,dog,cat\n"), "list.csv:1: 2 fields"));
  CHECK(contains(error(",dog\n"), "list.csv:1: no path"));
  CHECK(contains(error("\n\"images/a.png,dog\n"), "list.csv:2: a quote is not closed"));
  CHECK(contains(error("\"images/a.png\"x,dog\n"), "text follows a closing quote"));
  CHECK(contains(error("images/none.png,dog\n"), "list.csv:1: "));
  CHECK(contains(error("images/none.png,dog\n"), "none.png: no such file"));
  list.folder().make_folder("all");
  CHECK(contains(error("all,dog\n"), "is a folder"));
  CHECK(contains(error(std::string_view("a\0b,dog\n", 8)), "zero byte"));
  const std::string header_later = "images/a.png,dog\npath,label\n";
  CHECK(contains(error(header_later), "list.csv:2: "));
  CHECK(contains(error(header_later), "path: no such file"));
}

TEST_CASE("a manifest labels all lines or, for prediction, none") {
  ManifestFolder list;
  DatasetRequest request = image_request(1, 1, 1, {"dog", "cat"});
  request.labels_optional = true;
  CHECK(!open(list.write("path\nimages/a.png\nimages/a.png\n"), request)->labelled());
  CHECK(open(list.write("images/a.png,dog\n"), request)->labelled());
  CHECK(contains(open_error(list.write("images/a.png,dog\nimages/a.png\n"), request),
                 "list.csv:2: 1 fields, and the first line has 2"));
}

TEST_CASE("a header may have any names, in any order, with columns that are not used") {
  ManifestFolder list;
  const DatasetRequest request = image_request(1, 1, 1, {"dog", "cat"});
  const char* tables[] = {
      "file,class\nimages/a.png,cat\nimages/a.png,dog\n",
      "label,filename\ncat,images/a.png\ndog,images/a.png\n",
      "Species;File Path\r\ncat;images/a.png\r\ndog;images/a.png\r\n\r\n;\r\n",
      "bild\tart\nimages/a.png\tcat\nimages/a.png\tdog\n",
      "\xef\xbb\xbf,image,age,category,remark\n0,images/a.png,3,cat,\"a\nb\"\n"
      "1,images/a.png,4,dog,\"\"\"c\"\"\"\n",
      "filename,fold,target,category\nimages/a.png,1,1,cat\nimages/a.png,1,0,dog\n",
      "bild,alter,art\nimages/a.png,3,cat\nimages/a.png,0,dog\n",
      "path,label\rimages/a.png,cat\rimages/a.png,dog\r",
      "path,label\nimages/a.png,cat,\nimages/a.png,dog,,\n",
  };
  for (const char* table : tables) {
    CAPTURE(table);
    const std::string path = list.write(table);
    REQUIRE(open_error(path, request) == "");
    CHECK(classes(path, request) == std::vector<int32_t>{1, 0});
  }
  const std::unique_ptr<Dataset> data = open(list.write(tables[5]), request);
  REQUIRE(notes_of(*data).size() == 1);
  CHECK(contains(notes_of(*data)[0],
                 "list.csv: files from `filename`, labels from `category`; not used: "
                 "`fold`, `target`"));
  CHECK(notes_of(*open(list.write(tables[0]), request)).empty());
}

TEST_CASE("columns that cannot be told are asked for, by name or number") {
  ManifestFolder list;
  DatasetRequest request = image_request(1, 1, 1, {"dog", "cat"});
  const std::string path = list.write(
      "left,right,kind,breed\nimages/a.png,\"images/b, c.png\",cat,dog\n"
      "images/a.png,\"images/b, c.png\",dog,cat\n");
  CHECK(contains(open_error(path, request),
                 "the model learns 1 column of these: `right`, `kind`, `breed`; name it with "
                 "--label-column"));
  request.label_column = "Kind";
  CHECK(classes(path, request) == std::vector<int32_t>{1, 0});
  CHECK(open(path, request)->describe(0) == list.folder().path("images/a.png"));
  request.path_column = "right";
  request.label_column = "3";
  CHECK(classes(path, request) == std::vector<int32_t>{1, 0});
  CHECK(open(path, request)->describe(0) == list.folder().path("images/b, c.png"));
  request.label_column = "colour";
  CHECK(contains(open_error(path, request),
                 "--label-column colour: no such column; there are left, right, kind, breed"));
  request = image_request(1, 1, 1, {"dog", "cat"});
  request.label_column = "3";
  CHECK(classes(list.write("images/a.png,x,cat\nimages/a.png,y,dog\n"), request) ==
        std::vector<int32_t>{1, 0});
  request.label_column = "4";
  CHECK(contains(open_error(list.write("images/a.png,x,cat\n"), request),
                 "the table has no header; give a number 1 .. 3"));
  request.label_column = "label";
  CHECK(contains(open_error(list.write("path,label,label\nimages/a.png,cat,dog\n"), request),
                 "several columns `label`"));
}

TEST_CASE("a column of weights weighs the examples of a manifest") {
  ManifestFolder list;
  DatasetRequest request = image_request(1, 1, 1, {"dog", "cat"});
  const char* rest = "images/a.png,cat,0.5\nimages/a.png,dog,2\n";
  for (const char* name : {"weight", "sample_weight"}) {
    const std::string path =
        list.write(std::string("path,label,").append(name).append("\n").append(rest));
    const std::unique_ptr<Dataset> data = open(path, request);
    CHECK(data->weight(0) == 0.5);
    CHECK(data->weight(1) == 2);
    CHECK(class_of(*data, 0, 1) == 1);
  }
  request.weight_column = "w";
  CHECK(open(list.write(std::string("path,label,w\n").append(rest)), request)->weight(1) == 2);
  CHECK(contains(open_error(list.write("path,label,w\nimages/a.png,cat,much\n"), request),
                 "list.csv:2: weight `much` is no number"));
  CHECK(contains(open_error(list.write("path,label,w\nimages/a.png,cat,-2\n"), request),
                 "the weight -2 of example 0"));

  // Examples that are left out take their weights and labels with them.
  request.skip_unreadable = true;
  const std::unique_ptr<Dataset> data =
      open(list.write("path,label,w\nnone.png,cat,7\nimages/a.png,dog,3\n"), request);
  REQUIRE(data->size() == 1);
  CHECK(data->weight(0) == 3);
  CHECK(class_of(*data, 0, 1) == 0);
  CHECK(contains(notes_of(*data)[0], "none.png: no such file"));
}

TEST_CASE("tables of other systems are read, or told in words") {
  ManifestFolder list;
  const DatasetRequest request = image_request(1, 1, 1, {"dog", "cat"});
  CHECK(contains(open_error(list.write(std::string_view("\xff\xfe"
                                                        "a\0",
                                                        4)),
                            request),
                 "is UTF-16"));
  CHECK(contains(open_error(list.write("path,label\nimages\\a.png,cat\n"), request),
                 "list.csv:2: images\\a.png: no such file, but images/a.png is one"));
  CHECK(contains(open_error(list.write("path,label\nimages/a.png,cat\nimages/a.png\n"), request),
                 "list.csv:3: 1 fields, and the header has 2"));
  TempFolder folder;
  folder.write("a.png", grey_png(1, 1, 1));
  CHECK(open(folder.write("list.tsv", "a.png\tcat\n"), request)->size() == 1);
}

TEST_CASE("a table of numbers is what a model of numbers takes") {
  TempFolder folder;
  DatasetRequest request = plain_request({2}, 2);
  request.class_names = {"no", "yes"};
  struct Row {
    const char* table;
    std::vector<float> second;
  };
  const Row rows[] = {
      {"a,b,species\n1,2,yes\n3,4.5,no\n", {3, 4.5f}},
      {"label,a,b\nyes,1,2\nno,3,4.5\n", {3, 4.5f}},
      {",a,b,outcome\n0,1,2,yes\n1,3,4.5,no\n", {3, 4.5f}},  // as pandas writes it
      {"1;2;yes\n3;4.5;no\n", {3, 4.5f}},
      {"weight,height,label\n1,2,1\n3,4.5,0\n", {3, 4.5f}},
      {"0,1,2\n1,2,1\n3,4.5,0\n", {3, 4.5f}},  // pandas' names of columns
  };
  for (const Row& row : rows) {
    CAPTURE(row.table);
    const std::string path = folder.write("t.csv", row.table);
    REQUIRE(open_error(path, request) == "");
    const std::unique_ptr<Dataset> data = open(path, request);
    REQUIRE(data->size() == 2);
    CHECK(input_of<float>(*data, 1, 2) == row.second);
    CHECK(class_of(*data, 0, 8) == 1);
    CHECK(class_of(*data, 1, 8) == 0);
    CHECK(data->weight(0) == 1);
  }
  CHECK(contains(notes_of(*open(folder.write("t.csv", rows[0].table), request))[0],
                 "t.csv: features from `a`, `b`; labels from `species`"));
  const std::string weighted = "a,b,species,sample_weight\n1,2,yes,3\n3,4.5,no,1\n";
  CHECK(open(folder.write("t.csv", weighted), request)->weight(0) == 3);
  const auto error = [&](std::string_view table) {
    return open_error(folder.write("t.csv", table), request);
  };
  CHECK(contains(error("a,b,c,species\n1,2,3,yes\n"),
                 "3 columns of features (`a`, `b`, `c`; labels from `species`), and the model's "
                 "input `input` takes 2"));
  CHECK(contains(error("a,b,species\n1,2,yes\n1,,no\n"), "t.csv:3: `b`: `` is no number, but"));
  CHECK(contains(error("a,b,species\n1,2,yes\n1,x,no\n"), "t.csv:3: `b`: `x` is no number"));

  DatasetRequest targets = plain_request({1}, 0);
  targets.target = Shape{2};
  const std::unique_ptr<Dataset> data =
      open(folder.write("t.csv", "a,y1,y2\n1,0.5,-1e3\n"), targets);
  float target[2];
  REQUIRE(data->read(0, kTargetField, std::as_writable_bytes(std::span(target))));
  CHECK(target[0] == 0.5f);
  CHECK(target[1] == -1000.0f);
  targets.label_column = "a,y2";
  CHECK(input_of<float>(*open(folder.path("t.csv"), targets), 0, 1) == std::vector<float>{0.5f});

  request.labels_optional = true;
  const std::unique_ptr<Dataset> unlabelled = open(folder.write("t.csv", "a,b\n1,2\n"), request);
  CHECK(!unlabelled->labelled());
  CHECK(input_of<float>(*unlabelled, 0, 2) == std::vector<float>{1, 2});
}

}  // namespace
}  // namespace attune::test
