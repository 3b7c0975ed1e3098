#include <doctest/doctest.h>

#include <filesystem>
#include <numbers>

#include "tests/support/files.h"
#include "tests/support/notes.h"

namespace attune::test {
namespace {

namespace fs = std::filesystem;

std::vector<uint8_t> pixel(Dataset& data, int64_t index) {
  return input_of<uint8_t>(data, index, 1);
}

TEST_CASE("class folders map to classes by name, files are sorted, others ignored") {
  TempFolder folder;
  folder.write("cat/2.PNG", grey_png(1, 1, 12));
  folder.write("cat/10.bmp", bmp(2, 1, {11, 11, 11, 11, 11, 11}));
  folder.write("cat/notes.txt", "no image");
  folder.write("cat/.hidden.png", "no image");
  folder.write("ant/a.png", grey_png(3, 2, 20));
  folder.write("readme.txt", "no class");
  folder.write(".git/x.png", "no image");
  fs::create_directories(folder.path("ant/folder.png"));
  const std::unique_ptr<Dataset> data =
      open(folder.path(), image_request(1, 1, 1, {"dog", "cat", "ant"}));
  REQUIRE(data->size() == 3);
  CHECK(data->labelled());
  CHECK(data->describe(0) == folder.path("ant/a.png"));
  CHECK(data->describe(1) == folder.path("cat/10.bmp"));
  CHECK(data->describe(2) == folder.path("cat/2.PNG"));
  CHECK(pixel(*data, 0) == std::vector<uint8_t>{20});
  CHECK(pixel(*data, 1) == std::vector<uint8_t>{11});
  CHECK(pixel(*data, 2) == std::vector<uint8_t>{12});
  CHECK(class_of(*data, 0, 1) == 2);
  CHECK(class_of(*data, 1, 1) == 1);
  CHECK(class_of(*data, 2, 1) == 1);
}

TEST_CASE("what lies in a class folder is used, nested or not, or counted") {
  TempFolder folder;
  folder.write("cat/z.png", grey_png(1, 1, 1));
  folder.write("cat/2024/b.png", grey_png(1, 1, 2));
  folder.write("cat/2024/may/a.png", grey_png(1, 1, 3));
  folder.write("cat/2023/c.png", grey_png(1, 1, 4));
  folder.write("cat/notes.txt", "no image");
  folder.write("cat/2024/more.txt", "no image");
  folder.write("cat/photo.heic", "no image that is read");
  folder.write("cat/README", "no image");
  folder.write("cat/Thumbs.db", "Windows'");
  folder.write("cat/._z.png", "a Mac's");
  folder.write("__MACOSX/cat/z.png", "a Mac's archive");
  folder.write("loose.png", grey_png(1, 1, 5));
  folder.write("readme.md", "of the data set");
  fs::create_symlink("nowhere", folder.path("cat/broken.png"));
  fs::create_directory_symlink(folder.path("cat/2024"), folder.path("cat/2023/other"));
  fs::create_directory_symlink(folder.path("cat/2023"), folder.path("cat/2024/back"));
  const std::unique_ptr<Dataset> data = open(folder.path(), image_request(1, 1, 1, {"cat"}));
  REQUIRE(data->size() == 4);  // in the order of torchvision's ImageFolder, each file once
  const char* expected[] = {"cat/z.png", "cat/2023/c.png", "cat/2023/other/b.png",
                            "cat/2023/other/may/a.png"};
  for (int64_t i = 0; i < 4; ++i) CHECK(data->describe(i) == folder.path(expected[i]));
  CHECK(notes_of(*data) ==
        std::vector<std::string>{folder.path() +
                                 ": 6 files left out: 2 .txt, 1 .heic, 1 beside the class folders, "
                                 "1 broken link or special file, 1 without extension (read are "
                                 "images (JPEG, PNG, WebP, TIFF, GIF, BMP, PNM))"});
}

TEST_CASE("a folder without anything odd has no notes, and a class of nested files alone is one") {
  TempFolder folder;
  folder.write("cat/1/a.png", grey_png(1, 1, 1));
  const DatasetRequest request = image_request(1, 1, 1, {"cat"});
  CHECK(notes_of(*open(folder.path(), request)).empty());
  fs::create_directories(folder.path("cat/1/empty"));
  CHECK(open(folder.path(), request)->size() == 1);
  fs::remove(folder.path("cat/1/a.png"));
  CHECK(contains(open_error(folder.path(), request), "cat: holds no images (JPEG"));
}

TEST_CASE("files that cannot be read are left out on request, each with its reason") {
  TempFolder folder;
  folder.write("ant/a.png", grey_png(2, 1, 1));
  folder.write("ant/b.png", first(grey_png(2, 1, 2), 40));
  folder.write("cat/c.png", "");
  folder.write("cat/d.png", grey_png(2, 1, 4));
  folder.write("cat/e.png", grey_png(2, 1, 5));
  DatasetRequest request = image_request(2, 1, 1, {"ant", "cat"});
  request.skip_unreadable = true;
  for (size_t cache_bytes : {size_t{0}, size_t{3}, size_t{100}}) {
    CAPTURE(cache_bytes);
    request.cache_bytes = cache_bytes;
    const std::unique_ptr<Dataset> data = open(folder.path(), request);
    REQUIRE(data->size() == 3);
    const uint8_t shades[] = {1, 4, 5};
    const char* names[] = {"ant/a.png", "cat/d.png", "cat/e.png"};
    for (int64_t i = 0; i < 3; ++i) {
      CHECK(input_of<uint8_t>(*data, i, 2) == std::vector<uint8_t>(2, shades[i]));
      CHECK(data->describe(i) == folder.path(names[i]));
      CHECK(class_of(*data, i, 2) == (i > 0));
    }
    const std::vector<std::string> notes = notes_of(*data);
    REQUIRE(notes.size() == 3);
    CHECK(notes[0] ==
          "left out: " + folder.path("ant/b.png") + ": the image is cut short; copy it again");
    CHECK(contains(notes[1], "cat/c.png: not a PNG"));
    CHECK(notes[2] == folder.path() + ": 2 of 5 files left out, as they cannot be read");
  }
  for (const char* name : {"ant/a.png", "cat/d.png", "cat/e.png"}) folder.write(name, "");
  CHECK(contains(open_error(folder.path(), request),
                 folder.path() + ": none of its 5 files can be read, the first one as: "));
}

TEST_CASE("for a prediction folders need not be classes") {
  TempFolder folder;
  folder.write("2024/may/a.png", grey_png(1, 1, 1));
  folder.write("b.png", grey_png(1, 1, 2));
  DatasetRequest request = image_request(1, 1, 1, {"cat"});
  CHECK(contains(open_error(folder.path(), request), "2024: unknown class"));
  request.labels_optional = true;
  CHECK(open(folder.path(), request)->size() == 2);
}

TEST_CASE("a label is read without its example") {
  TempFolder folder;
  folder.write("ant/a.png", "no image");
  const std::unique_ptr<Dataset> data =
      open(folder.path(), image_request(1, 1, 1, {"dog", "cat", "ant"}));
  int32_t label = 0;
  REQUIRE(data->read(0, kTargetField, std::as_writable_bytes(std::span(&label, 1))));
  CHECK(label == 2);
  std::byte pixel[1];
  CHECK(contains(data->read(0, 0, pixel).message(), folder.path("ant/a.png")));
}

TEST_CASE("WAV files are resampled and become features") {
  TempFolder folder;
  const auto tones = [](int rate, double loudness) {
    std::vector<int16_t> samples;
    for (int i = 0; i < rate / 2; ++i) {
      double sum = 0;  // a tone in every mel band
      for (int k = 0; k < 80; ++k)
        sum += std::sin(2 * std::numbers::pi * (40 + 83 * k) * i / rate + k * k);
      samples.push_back(static_cast<int16_t>(std::lround(loudness * sum)));
    }
    return samples;
  };
  folder.write("yes/fast.wav", wav16(tones(48000, 600), 48000));
  folder.write("yes/slow.WAV", wav16(tones(16000, 300), 16000));  // the peak is normalised
  const std::unique_ptr<Dataset> data = open(folder.path(), mfcc_request({"no", "yes"}));
  REQUIRE(data->size() == 2);
  CHECK(class_of(*data, 1, 1960) == 1);
  const std::vector<float> fast = input_of<float>(*data, 0, 490),
                           slow = input_of<float>(*data, 1, 490);
  // Frames within the tones; where these end abruptly, their spectrum has no end.
  for (size_t i = 10; i < 23 * 10; ++i) CHECK(std::abs(fast[i] - slow[i]) < 0.05);

  DatasetRequest wide = mfcc_request({"no", "yes"});
  wide.inputs[0].dtype = DType::f64;
  const std::vector<float> narrow = input_of<float>(*data, 0, 490);
  CHECK(input_of<double>(*open(folder.path(), wide), 0, 490) ==
        std::vector<double>(narrow.begin(), narrow.end()));
}

TEST_CASE("folders of arrays work without a front end") {
  TempFolder folder;
  Bytes file = from_hex(
      "934e554d5059010036007b276465736372273a20273c6634272c2027666f727472616e5f6f"
      "72646572273a2046616c73652c20277368617065273a2028312c297d");
  put_little(&file, 0x40000000, 4);
  file[8] = static_cast<std::byte>(file.size() - 14);
  folder.write("a/x.npy", file);
  DatasetRequest request = plain_request({1}, 2);
  request.class_names = {"b", "a"};
  const std::unique_ptr<Dataset> data = open(folder.path(), request);
  CHECK(input_of<float>(*data, 0, 1) == std::vector<float>{2});
  CHECK(class_of(*data, 0, 4) == 1);
}

TEST_CASE("unknown and empty class folders are named with the classes there are") {
  TempFolder folder;
  const DatasetRequest request = image_request(1, 1, 1, {"dog", "cat"});
  CHECK(contains(open_error(folder.path(), request), "holds no images (JPEG, PNG"));
  folder.write("cat/a.png", grey_png(1, 1, 1));
  folder.make_folder("dog");
  std::string error = open_error(folder.path(), request);
  CHECK(contains(error, folder.path("dog") + ": holds no images"));
  CHECK(contains(error, "dog, cat"));
  folder.write("dog/b.png", grey_png(1, 1, 1));
  CHECK(open_error(folder.path(), request) == "");
  folder.write("bird/b.png", grey_png(1, 1, 1));
  error = open_error(folder.path(), request);
  CHECK(contains(error, folder.path("bird") + ": unknown class"));
  CHECK(contains(error, "dog, cat"));

  std::vector<std::string> many;
  for (int i = 0; i < 1000; ++i) many.push_back("class_" + std::to_string(i));
  error = open_error(folder.path(), image_request(1, 1, 1, many));
  CHECK(contains(error, "class_0, class_1, "));
  CHECK(contains(error, "... (1000 in all)"));
}

TEST_CASE("loose files are no classes, but serve prediction") {
  TempFolder folder;
  folder.write("b.png", grey_png(1, 1, 2));
  folder.write("a.png", grey_png(1, 1, 1));
  DatasetRequest request = image_request(1, 1, 1, {"dog", "cat"});
  CHECK(contains(open_error(folder.path(), request), "one folder per class (dog, cat)"));
  request.labels_optional = true;
  const std::unique_ptr<Dataset> data = open(folder.path(), request);
  CHECK(!data->labelled());
  CHECK(data->size() == 2);
  CHECK(pixel(*data, 0) == std::vector<uint8_t>{1});
}

TEST_CASE("class folders need class names") {
  TempFolder folder;
  folder.write("3/a.png", grey_png(1, 1, 1));
  DatasetRequest request = image_request(1, 1, 1, {});
  request.classes = 10;
  CHECK(contains(open_error(folder.path(), request), "compile it with --labels"));
  request.classes = 0;
  CHECK(contains(open_error(folder.path(), request), "the model learns numbers"));
  request.labels_optional = true;
  CHECK(!open(folder.path(), request)->labelled());
}

TEST_CASE("links to files are followed, loops and broken links are harmless") {
  TempFolder folder;
  folder.write("elsewhere/real.png", grey_png(1, 1, 9));
  folder.make_folder("data/cat");
  fs::create_symlink(folder.path("elsewhere/real.png"), folder.path("data/cat/link.png"));
  fs::create_symlink("loop.png", folder.path("data/cat/loop.png"));
  fs::create_symlink("nowhere", folder.path("data/cat/broken.png"));
  fs::create_directory_symlink("..", folder.path("data/cat/up.png"));
  fs::create_directory_symlink(".", folder.path("data/self"));
  fs::create_directory_symlink("..", folder.path("data/up"));
  fs::create_symlink("loop", folder.path("data/loop"));
  fs::create_directory_symlink(folder.path("elsewhere"), folder.path("data/dog"));
  const std::unique_ptr<Dataset> data =
      open(folder.path("data"), image_request(1, 1, 1, {"dog", "cat"}));
  REQUIRE(data->size() == 2);
  CHECK(data->describe(0) == folder.path("data/cat/link.png"));
  CHECK(pixel(*data, 0) == std::vector<uint8_t>{9});
  CHECK(class_of(*data, 1, 1) == 0);
}

TEST_CASE("a damaged file is named when it is read") {
  TempFolder folder;
  folder.write("cat/a.png", first(grey_png(4, 4, 1), 40));
  folder.write("cat/b.png", "");
  const std::unique_ptr<Dataset> data = open(folder.path(), image_request(1, 1, 1, {"cat"}));
  CHECK(read_error(*data, 0, 1) ==
        folder.path("cat/a.png") + ": the image is cut short; copy it again");
  CHECK(contains(read_error(*data, 1, 1), "b.png: not a PNG"));
}

TEST_CASE("examples are decoded once while the cache has room") {
  TempFolder folder;
  for (const char* name : {"cat/a.png", "cat/b.png", "cat/c.png"})
    folder.write(name, grey_png(2, 1, 7));
  DatasetRequest request = image_request(2, 1, 1, {"cat"});
  request.cache_bytes = 5;  // two examples of two bytes
  const std::unique_ptr<Dataset> data = open(folder.path(), request);
  for (int64_t i = 0; i < 3; ++i) CHECK(read_error(*data, i, 2) == "");
  fs::remove_all(folder.path("cat"));
  CHECK(input_of<uint8_t>(*data, 0, 2) == std::vector<uint8_t>{7, 7});
  CHECK(input_of<uint8_t>(*data, 1, 2) == std::vector<uint8_t>{7, 7});
  CHECK(contains(read_error(*data, 2, 2), "c.png: no such file"));
}

TEST_CASE("front end and model input must fit together") {
  TempFolder folder;
  folder.write("cat/a.png", grey_png(2, 1, 7));
  DatasetRequest request = image_request(2, 1, 1, {"cat"});
  request.inputs[0].shape = Shape{1, 1, 2};
  CHECK(
      contains(open_error(folder.path(), request), "makes u8 [1,2,1], the plan takes u8 [1,1,2]"));
  request = mfcc_request({"cat"});
  request.inputs[0].shape = Shape{48, 10};
  CHECK(contains(open_error(folder.path(), request), "makes 49 x 10 real numbers"));
  request = mfcc_request({"cat", "dog"});
  request.classes = 3;
  CHECK(contains(open_error(folder.path(), request), "2 class names for 3 classes"));
}

TEST_CASE("class folders are listed sorted by byte value") {
  TempFolder folder;
  std::vector<std::string> names;
  CHECK(contains(list_class_folders(folder.path(), &names).message(), "no class folders"));
  CHECK(contains(list_class_folders(folder.path("none"), &names).message(), "cannot be listed"));
  for (const char* name : {"b", "_x_", "B", "a", ".git"}) folder.make_folder(name);
  folder.write("file", "");
  REQUIRE(list_class_folders(folder.path(), &names));
  CHECK(names == std::vector<std::string>{"B", "_x_", "a", "b"});
  CHECK(contains(list_class_folders(folder.path("file"), &names).message(), "cannot be listed"));
}

TEST_CASE("single files serve prediction only") {
  TempFolder folder;
  const std::string picture = folder.write("a.jpg", grey_png(1, 1, 3));  // the content decides
  const std::string clip = folder.write("a.wav", wav16({1, 2, 3}));
  DatasetRequest request = image_request(1, 1, 1, {"cat"});
  CHECK(contains(open_error(picture, request), "a single file has no label"));
  request.labels_optional = true;
  const std::unique_ptr<Dataset> data = open(picture, request);
  CHECK(data->size() == 1);
  CHECK(!data->labelled());
  CHECK(pixel(*data, 0) == std::vector<uint8_t>{3});
  CHECK(contains(open_error(clip, request), "takes images (JPEG, PNG"));
  request = mfcc_request({"cat"});
  request.labels_optional = true;
  CHECK(open(clip, request)->size() == 1);
}

TEST_CASE("a single picture is told by what it is, whatever its name") {
  TempFolder folder;
  DatasetRequest request = image_request(1, 1, 1, {"cat"});
  request.labels_optional = true;
  for (const char* name : {"x.ppm", "x.pnm", "noext", "x.webp", "X.PPM", "x.bin"}) {
    CAPTURE(name);
    const std::string path = folder.write(name, "P5\n1 1\n255\na");
    CHECK(pixel(*open(path, request), 0) == std::vector<uint8_t>{'a'});
  }
  const std::string text = folder.write("notes.txt", "not a picture");
  std::unique_ptr<Dataset> data;
  REQUIRE(open_dataset(text, request, &data).is_ok());
  std::vector<uint8_t> bytes(1);
  const Status read = data->read(0, 0, std::as_writable_bytes(std::span(bytes)));
  CHECK(contains(read.message(), "notes.txt: "));
}

TEST_CASE("paths that are no data say so in one line") {
  TempFolder folder;
  const DatasetRequest request = image_request(1, 1, 1, {"cat"});
  CHECK(open_error("no/where", request) == "no/where: no such file or folder; check the path");
  CHECK(contains(open_error("", request), "no such file"));
  CHECK(contains(open_error(folder.write("a.xyz", "text"), request), "unknown kind of data"));
  CHECK(contains(open_error(folder.write("empty", ""), request), "unknown kind of data"));
  CHECK(contains(open_error("/dev/null", request), "not a regular file"));
  const std::string odd = folder.write("line\nbreak.xyz", "text");
  CHECK(contains(open_error(odd, request), "line?break.xyz"));
  const std::string long_name(4000, 'n');
  CHECK(contains(open_error(long_name, request), "n: "));
}

}  // namespace
}  // namespace attune::test
