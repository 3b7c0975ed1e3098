#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attune/open_dataset.h"

namespace attune::test {

using Bytes = std::vector<std::byte>;

// A folder of its own for each test, removed at its end.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string path(std::string_view name = "") const;
  // Writes a file, making the folders on the way; returns its path.
  std::string write(std::string_view name, const Bytes& bytes) const;
  std::string write(std::string_view name, std::string_view text) const;
  std::string make_folder(std::string_view name) const;

 private:
  std::filesystem::path root_;
};

void put(Bytes* bytes, std::string_view text);
void put_little(Bytes* bytes, uint64_t value, int count);
void put_big(Bytes* bytes, uint64_t value, int count);
Bytes from_hex(std::string_view hex);
Bytes first(const Bytes& bytes, size_t count);

struct WavFormat {
  int code = 1;  // 1: PCM, 3: float
  int channels = 1;
  int bits = 16;
  int rate = 16000;
  bool extensible = false;
};
// A WAV of the samples' bytes; a padding byte follows an odd number of them.
Bytes wav(const WavFormat& format, const Bytes& data);
// 16-bit mono.
Bytes wav16(const std::vector<int16_t>& samples, int rate = 16000);

// An 8-bit PNG; channels 1 to 4.
Bytes png(int width, int height, int channels, const std::vector<uint8_t>& pixels);
// A 24-bit BMP of RGB pixels.
Bytes bmp(int width, int height, const std::vector<uint8_t>& pixels);
// One shade of grey.
Bytes grey_png(int width, int height, uint8_t shade);
Bytes idx(const std::vector<uint32_t>& dims, const std::vector<uint8_t>& values);
uint32_t crc32_of(const Bytes& bytes);
Bytes gzip(const Bytes& bytes);
// Raw deflate, as in zip archives.
Bytes deflate_raw(const Bytes& bytes);

DatasetRequest image_request(int width, int height, int channels,
                             std::vector<std::string> class_names);
DatasetRequest mfcc_request(std::vector<std::string> class_names);
// No front end; f32 of the shape.
DatasetRequest plain_request(Shape shape, int classes);

// Opens, or gives the error: "" where there is none.
std::string open_error(const std::string& path, const DatasetRequest& request);
// Opens; the test fails where that fails.
std::unique_ptr<Dataset> open(const std::string& path, const DatasetRequest& request);
int32_t class_of(Dataset& dataset, int64_t index, size_t input_bytes);
template <class T>
std::vector<T> input_of(Dataset& dataset, int64_t index, size_t count);
// The error of reading, "" where there is none.
std::string read_error(Dataset& dataset, int64_t index, size_t input_bytes);

bool contains(std::string_view text, std::string_view part);

}  // namespace attune::test
