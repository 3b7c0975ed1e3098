#include "tests/support/files.h"

#include <doctest/doctest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdio>
#include <fstream>

namespace attune::test {
namespace fs = std::filesystem;

TempFolder::TempFolder() {
  static int count = 0;
  root_ = fs::temp_directory_path() /
          ("attune_io_" + std::to_string(::getpid()) + "_" + std::to_string(count++));
  fs::create_directories(root_);
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

std::string TempFolder::path(std::string_view name) const {
  return name.empty() ? root_.string() : (root_ / name).string();
}

std::string TempFolder::write(std::string_view name, const Bytes& bytes) const {
  return write(name, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

std::string TempFolder::write(std::string_view name, std::string_view text) const {
  const fs::path file = root_ / name;
  fs::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  out.close();
  REQUIRE(out.good());
  return file.string();
}

std::string TempFolder::make_folder(std::string_view name) const {
  fs::create_directories(root_ / name);
  return path(name);
}

void put(Bytes* bytes, std::string_view text) {
  for (char c : text) bytes->push_back(static_cast<std::byte>(c));
}

void put_little(Bytes* bytes, uint64_t value, int count) {
  for (int i = 0; i < count; ++i) {
    bytes->push_back(static_cast<std::byte>(value & 0xff));
    value >>= 8;
  }
}

void put_big(Bytes* bytes, uint64_t value, int count) {
  for (int i = count; i-- > 0;) bytes->push_back(static_cast<std::byte>(value >> (8 * i)));
}

Bytes from_hex(std::string_view hex) {
  Bytes bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

Bytes first(const Bytes& bytes, size_t count) {
  return Bytes(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(count));
}

Bytes wav(const WavFormat& format, const Bytes& data) {
  Bytes chunk;
  put_little(&chunk, format.extensible ? 0xfffe : static_cast<uint64_t>(format.code), 2);
  put_little(&chunk, static_cast<uint64_t>(format.channels), 2);
  put_little(&chunk, static_cast<uint64_t>(format.rate), 4);
  const int frame = format.channels * format.bits / 8;
  put_little(&chunk, static_cast<uint64_t>(format.rate) * static_cast<uint64_t>(frame), 4);
  put_little(&chunk, static_cast<uint64_t>(frame), 2);
  put_little(&chunk, static_cast<uint64_t>(format.bits), 2);
  if (format.extensible) {
    put_little(&chunk, 22, 2);
    put_little(&chunk, static_cast<uint64_t>(format.bits), 2);
    put_little(&chunk, 0, 4);
    put_little(&chunk, static_cast<uint64_t>(format.code), 2);
    const Bytes tail = from_hex("000000001000800000aa00389b71");
    chunk.insert(chunk.end(), tail.begin(), tail.end());
  }
  const size_t padding = data.size() % 2;
  Bytes file;
  put(&file, "RIFF");
  put_little(&file, 4 + 8 + chunk.size() + 8 + data.size() + padding, 4);
  put(&file, "WAVEfmt ");
  put_little(&file, chunk.size(), 4);
  file.insert(file.end(), chunk.begin(), chunk.end());
  put(&file, "data");
  put_little(&file, data.size(), 4);
  file.insert(file.end(), data.begin(), data.end());
  file.resize(file.size() + padding);
  return file;
}

Bytes wav16(const std::vector<int16_t>& samples, int rate) {
  Bytes data;
  for (int16_t sample : samples) put_little(&data, static_cast<uint16_t>(sample), 2);
  WavFormat format;
  format.rate = rate;
  return wav(format, data);
}

namespace {

void put_png_chunk(Bytes* file, std::string_view type, const Bytes& content) {
  put_big(file, content.size(), 4);
  const size_t start = file->size();
  put(file, type);
  file->insert(file->end(), content.begin(), content.end());
  const auto* bytes = reinterpret_cast<const Bytef*>(file->data() + start);
  put_big(file, crc32(0, bytes, static_cast<uInt>(file->size() - start)), 4);
}

// window_bits: 15 zlib, -15 raw, 31 gzip.
Bytes deflate_with(const Bytes& bytes, int window_bits) {
  z_stream stream = {};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes out(deflateBound(&stream, bytes.size()));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace

uint32_t crc32_of(const Bytes& bytes) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

Bytes gzip(const Bytes& bytes) { return deflate_with(bytes, 31); }
Bytes deflate_raw(const Bytes& bytes) { return deflate_with(bytes, -15); }

Bytes png(int width, int height, int channels, const std::vector<uint8_t>& pixels) {
  constexpr int kColourTypes[] = {0, 0, 4, 2, 6};
  Bytes header;
  put_big(&header, static_cast<uint64_t>(width), 4);
  put_big(&header, static_cast<uint64_t>(height), 4);
  put_big(&header, 8, 1);
  put_big(&header, static_cast<uint64_t>(kColourTypes[channels]), 1);
  put_big(&header, 0, 3);
  Bytes rows;
  for (int y = 0; y < height; ++y) {
    rows.push_back(std::byte{0});
    for (int i = 0; i < width * channels; ++i)
      rows.push_back(static_cast<std::byte>(pixels[static_cast<size_t>(y * width * channels + i)]));
  }
  Bytes file = from_hex("89504e470d0a1a0a");
  put_png_chunk(&file, "IHDR", header);
  put_png_chunk(&file, "IDAT", deflate_with(rows, 15));
  put_png_chunk(&file, "IEND", {});
  return file;
}

Bytes grey_png(int width, int height, uint8_t shade) {
  return png(width, height, 1, std::vector<uint8_t>(static_cast<size_t>(width * height), shade));
}

Bytes bmp(int width, int height, const std::vector<uint8_t>& pixels) {
  const int row_bytes = (width * 3 + 3) / 4 * 4;
  Bytes file;
  put(&file, "BM");
  put_little(&file, static_cast<uint64_t>(54 + row_bytes * height), 4);
  put_little(&file, 0, 4);
  put_little(&file, 54, 4);
  put_little(&file, 40, 4);
  put_little(&file, static_cast<uint64_t>(width), 4);
  put_little(&file, static_cast<uint64_t>(height), 4);
  put_little(&file, 1, 2);
  put_little(&file, 24, 2);
  put_little(&file, 0, 24);
  for (int y = height - 1; y >= 0; --y) {
    for (int x = 0; x < width; ++x)
      for (int c = 2; c >= 0; --c)
        put_little(&file, pixels[static_cast<size_t>((y * width + x) * 3 + c)], 1);
    put_little(&file, 0, row_bytes - width * 3);
  }
  return file;
}

Bytes idx(const std::vector<uint32_t>& dims, const std::vector<uint8_t>& values) {
  Bytes file;
  put_big(&file, 0x0800 + dims.size(), 4);
  for (uint32_t dim : dims) put_big(&file, dim, 4);
  for (uint8_t value : values) file.push_back(static_cast<std::byte>(value));
  return file;
}

DatasetRequest image_request(int width, int height, int channels,
                             std::vector<std::string> class_names) {
  DatasetRequest request;
  request.inputs = {{"input", DType::u8, Shape{height, width, channels}}};
  request.preprocess.front_end = FrontEnd::image;
  request.preprocess.image.width = width;
  request.preprocess.image.height = height;
  request.preprocess.image.channels = channels;
  request.classes = static_cast<int32_t>(class_names.size());
  request.class_names = std::move(class_names);
  return request;
}

DatasetRequest mfcc_request(std::vector<std::string> class_names) {
  DatasetRequest request;
  request.inputs = {{"mfcc", DType::f32, Shape{1, 49, 10}}};
  request.preprocess.front_end = FrontEnd::mfcc;
  request.classes = static_cast<int32_t>(class_names.size());
  request.class_names = std::move(class_names);
  return request;
}

DatasetRequest plain_request(Shape shape, int classes) {
  DatasetRequest request;
  request.inputs = {{"input", DType::f32, shape}};
  request.classes = classes;
  return request;
}

std::string open_error(const std::string& path, const DatasetRequest& request) {
  std::unique_ptr<Dataset> dataset;
  const Status status = open_dataset(path, request, &dataset);
  const std::string message = status.message();
  CHECK(status.is_ok() == (dataset != nullptr));
  CHECK(status.is_ok() == message.empty());
  CHECK(message.find('\n') == std::string::npos);
  return message;
}

std::unique_ptr<Dataset> open(const std::string& path, const DatasetRequest& request) {
  std::unique_ptr<Dataset> dataset;
  const Status status = open_dataset(path, request, &dataset);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  REQUIRE(dataset != nullptr);
  return dataset;
}

int32_t class_of(Dataset& dataset, int64_t index, size_t input_bytes) {
  CHECK(read_error(dataset, index, input_bytes) == "");
  int32_t label = -1;
  const Status status =
      dataset.read(index, kTargetField, std::as_writable_bytes(std::span(&label, 1)));
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  return label;
}

template <class T>
std::vector<T> input_of(Dataset& dataset, int64_t index, size_t count) {
  std::vector<T> input(count);
  const Status status = dataset.read(index, 0, std::as_writable_bytes(std::span(input)));
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  return input;
}
template std::vector<float> input_of(Dataset&, int64_t, size_t);
template std::vector<double> input_of(Dataset&, int64_t, size_t);
template std::vector<int32_t> input_of(Dataset&, int64_t, size_t);
template std::vector<uint8_t> input_of(Dataset&, int64_t, size_t);

std::string read_error(Dataset& dataset, int64_t index, size_t input_bytes) {
  Bytes input(input_bytes);
  return dataset.read(index, 0, input).message();
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace attune::test
