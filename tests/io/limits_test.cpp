// What a file may take, and that reading it takes time that grows as it does.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include "attune/open_dataset.h"
#include "engine/io/image.h"
#include "tests/support/encoded_sound.h"
#include "tests/support/files.h"
#include "tests/support/npz.h"

namespace attune::test {
namespace {

constexpr const char* kMore = "--max-input-bytes allows more";

DatasetRequest limited(DatasetRequest request, uint64_t bytes) {
  request.limits.input_bytes = bytes;
  return request;
}

// What is wrong with data, opened and the first of them read.
std::string error_of(const std::string& path, const DatasetRequest& request) {
  std::unique_ptr<Dataset> data;
  if (const Status status = open_dataset(path, request, &data); !status) return status.message();
  std::vector<std::byte> bytes(request.example().bytes());
  const Status status = data->read(0, 0, bytes);
  return status ? "" : status.message();
}

}  // namespace

TEST_CASE("every reader keeps to the limit on bytes, and reads what is within it") {
  TempFolder folder;
  NpzArrays arrays;
  arrays["x"] = {NpyType::f32, {5, 4}, Bytes(80)};
  arrays["y"] = {NpyType::i32, {5}, Bytes(20)};
  const std::vector<uint8_t> pixels(2000 * 4, 0);
  const Bytes images = idx({2000, 2, 2}, pixels);
  struct Row {
    std::string path;
    DatasetRequest request;
    uint64_t enough, less;
  };
  DatasetRequest numbers = plain_request({4}, 3), unlabelled = plain_request({2, 2}, 3);
  unlabelled.labels_optional = true;
  DatasetRequest sound = mfcc_request({"a", "b"}), picture = image_request(4, 4, 3, {"a", "b"});
  sound.labels_optional = picture.labels_optional = true;
  const Bytes wide = wav({1, 1, 8, 16000, false}, Bytes(1000));
  std::vector<Row> rows = {
      {folder.write("a.npz", npz_of(arrays)), numbers, 10'000, 300},
      {folder.write("p.npz", zip_of({{"x.npy", npy_of(arrays["x"]), true, false},
                                     {"y.npy", npy_of(arrays["y"]), true, false}})),
       numbers, 10'000, 250},
      {folder.write("images-idx3-ubyte", images), unlabelled, images.size(), pixels.size() - 1},
      {folder.write("images-idx3-ubyte.gz", gzip(images)), unlabelled, images.size(),
       pixels.size() - 1},
      {folder.write("t.csv", "1,2,3,4,0\n1,2,3,4,1\n"), numbers, 2000, 100},
      {folder.write("s.wav", wide), sound, 4000, 3999},
      {folder.write("p.png", png(4, 4, 3, std::vector<uint8_t>(48, 7))), picture, 1000, 50}};
#ifdef ATTUNE_SNDFILE
  const std::vector<float> tone(20'000, 0.25f);
  rows.push_back(
      {folder.write("s.flac", encoded(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 1, 16000, tone)), sound,
       80'000, 79'999});
#endif
  for (const Row& row : rows) {
    CAPTURE(row.path);
    CHECK(error_of(row.path, limited(row.request, row.enough)) == "");
    CHECK(contains(error_of(row.path, limited(row.request, row.less)), kMore));
  }
}

TEST_CASE("a limit on pixels holds for every format") {
  ReadLimits limits;
  limits.pixels = 11;
  for (const Bytes& file :
       {png(4, 3, 1, std::vector<uint8_t>(12)), bmp(4, 3, std::vector<uint8_t>(36))}) {
    Image image;
    CHECK(
        contains(decode_image("p", file, limits, &image).message(), "4 x 3 pixels; give 1 to 11"));
    limits.pixels = 12;
    CHECK(decode_image("p", file, limits, &image).is_ok());
    limits.pixels = 11;
  }
}

TEST_CASE("a PNG whose first chunk of data is empty is the same picture") {
  const Bytes file = png(3, 2, 1, {1, 2, 3, 4, 5, 6});
  Bytes chunk;
  put(&chunk, "IDAT");
  Bytes empty;
  put_big(&empty, 0, 4);
  empty.insert(empty.end(), chunk.begin(), chunk.end());
  put_big(&empty, crc32_of(chunk), 4);
  Bytes changed = file;
  changed.insert(changed.begin() + 33, empty.begin(), empty.end());
  Image before, after;
  REQUIRE(decode_image("p", file, {}, &before).is_ok());
  REQUIRE(decode_image("p", changed, {}, &after).is_ok());
  CHECK(before.pixels == after.pixels);
}

TEST_CASE("as many names of classes as rows are no trouble") {
  TempFolder folder;
  std::string table;
  constexpr int kRows = 300'000;
  for (int i = 0; i < kRows; ++i) table += "1,2,3,4,name" + std::to_string(i * 7 % kRows) + "\n";
  const std::string path = folder.write("t.csv", table);
  std::vector<std::string> names;
  DatasetRequest request = plain_request({4}, 1 << 24);
  request.found_names = &names;
  rlimit before;
  rusage used;
  REQUIRE(getrlimit(RLIMIT_CPU, &before) == 0);
  REQUIRE(getrusage(RUSAGE_SELF, &used) == 0);
  rlimit less = before;
  // A search for each row would take minutes.
  less.rlim_cur = static_cast<rlim_t>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + 60;
  REQUIRE(setrlimit(RLIMIT_CPU, &less) == 0);
  CHECK(open(path, request)->size() == kRows);
  REQUIRE(setrlimit(RLIMIT_CPU, &before) == 0);
  CHECK(names.size() == kRows);
}

}  // namespace attune::test
