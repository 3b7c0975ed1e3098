#include "engine/io/image.h"

#include <doctest/doctest.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "tests/support/files.h"

namespace attune::test {
namespace {

Image decoded(const Bytes& file) {
  Image image;
  const Status status = decode_image("picture", file, {}, &image);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  return image;
}

std::string decode_error(const Bytes& file) {
  Image image;
  return decode_image("picture", file, {}, &image).message();
}

std::vector<uint8_t> preprocessed(const ImagePreprocess& config, const Image& image) {
  std::vector<uint8_t> out(static_cast<size_t>(config.width * config.height * config.channels));
  REQUIRE(check_image_preprocess(config));
  preprocess_image(config, image.view(), out);
  return out;
}

ImagePreprocess stretch_to(int width, int height, int channels) {
  ImagePreprocess config;
  config.width = width;
  config.height = height;
  config.channels = channels;
  config.interpolation = Interpolation::bilinear_aliased;
  return config;
}

ImagePreprocess crop_to(int width, int height, int channels, int resize_shorter) {
  ImagePreprocess config = stretch_to(width, height, channels);
  config.resize = Resize::center_crop;
  config.resize_shorter = resize_shorter;
  return config;
}

// 7 x 5 RGB, as in the PyTorch script that made the sums below.
Image pattern() {
  Image image{7, 5, 3, {}};
  for (int y = 0; y < 5; ++y)
    for (int x = 0; x < 7; ++x)
      for (int c = 0; c < 3; ++c)
        image.pixels.push_back(static_cast<uint8_t>((y * 37 + x * 91 + c * 53 + x * y * 11) % 256));
  return image;
}

// 8 x 8, RGB 200 100 50.
const char kJpeg[] =
    "ffd8ffe000104a46494600010100000100010000ffdb004300100b0c0e0c0a100e0d0e1211101318281a1816161831"
    "23251d283a333d3c3933383740485c4e404457453738506d51575f626768673e4d71797064785c656763ffdb004301"
    "1112121815182f1a1a2f63423842636363636363636363636363636363636363636363636363636363636363636363"
    "63"
    "63636363636363636363636363636363ffc00011080008000803012200021101031101ffc400150001010000000000"
    "0000000000000000000002ffc40014100100000000000000000000000000000000ffc4001401010000000000000000"
    "0000000000000005ffc40014110100000000000000000000000000000000ffda000c03010002110311003f00900599"
    "7fffd9";

TEST_CASE("a PNG of each number of channels decodes to its pixels") {
  for (int channels = 1; channels <= 4; ++channels) {
    CAPTURE(channels);
    std::vector<uint8_t> pixels(static_cast<size_t>(3 * 2 * channels));
    std::iota(pixels.begin(), pixels.end(), uint8_t{10});
    const Image image = decoded(png(3, 2, channels, pixels));
    CHECK(image.width == 3);
    CHECK(image.height == 2);
    CHECK(image.channels == channels);
    CHECK(image.pixels == pixels);
  }
}

TEST_CASE("a BMP decodes to its pixels") {
  const std::vector<uint8_t> pixels{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
  CHECK(decoded(bmp(3, 2, pixels)).pixels == pixels);
}

TEST_CASE("a JPEG decodes to about its colour") {
  const Image image = decoded(from_hex(kJpeg));
  REQUIRE(image.width == 8);
  REQUIRE(image.height == 8);
  REQUIRE(image.channels == 3);
  CHECK(std::abs(image.pixels[0] - 200) <= 4);
  CHECK(std::abs(image.pixels[1] - 100) <= 4);
  CHECK(std::abs(image.pixels[2] - 50) <= 4);
}

TEST_CASE("an image cut at any length is an error") {
  const Bytes files[] = {png(3, 2, 3, std::vector<uint8_t>(18, 77)),
                         bmp(3, 2, std::vector<uint8_t>(18, 77))};
  for (const Bytes& file : files) {
    CHECK(decode_error(file) == "");
    for (size_t length = 0; length < file.size(); ++length) {
      CAPTURE(length);
      CHECK(decode_error(first(file, length)) != "");
    }
  }
}

TEST_CASE("a JPEG with an impossible Huffman table is an error") {
  const Bytes file = from_hex(kJpeg);
  int tables = 0;
  for (size_t at = 0; at + 1 < file.size(); ++at) {
    if (file[at] != std::byte{0xff} || file[at + 1] != std::byte{0xc4}) continue;
    ++tables;
    for (const uint8_t count : {uint8_t{2}, uint8_t{255}}) {
      Bytes damaged = file;
      damaged[at + 5] = damaged[at + 6] = static_cast<std::byte>(count);
      CHECK(contains(decode_error(damaged), "cannot be decoded"));
    }
  }
  CHECK(tables == 4);
}

TEST_CASE("a JPEG of more pixels than its bytes can hold is an error") {
  Bytes file = from_hex(kJpeg);
  const std::byte frame[] = {std::byte{0xff}, std::byte{0xc0}};
  const auto at = std::search(file.begin(), file.end(), std::begin(frame), std::end(frame));
  REQUIRE(at != file.end());
  at[5] = at[7] = std::byte{0x04};  // 1032 x 1032
  CHECK(contains(decode_error(file), "1032 x 1032 pixels in"));
}

TEST_CASE("what follows a JPEG's end does not belong to it") {
  const Bytes picture = from_hex(kJpeg);
  // A film after a photograph, as telephones write it: looks like tables, scans and ends.
  for (const char* behind :
       {"ffc412", "ffda", "ffd9", "00000018667479706d703432ffc4ffffffda0008"}) {
    CAPTURE(behind);
    Bytes file = picture;
    for (const std::byte byte : from_hex(behind)) file.push_back(byte);
    REQUIRE(decode_error(file) == "");
    CHECK(decoded(file).pixels == decoded(picture).pixels);
  }
}

TEST_CASE("no damaged byte of a JPEG or a BMP crashes the decoder") {
  for (const Bytes& file : {from_hex(kJpeg), bmp(3, 2, std::vector<uint8_t>(18, 77))}) {
    for (size_t at = 0; at < file.size(); ++at) {
      for (const int value : {0x00, 0x01, 0x10, 0x7f, 0x80, 0xfe, 0xff}) {
        Bytes damaged = file;
        damaged[at] = static_cast<std::byte>(value);
        Image image;
        if (decode_image("picture", damaged, {}, &image))
          CHECK(image.pixels.size() == size_t{1} * image.width * image.height * image.channels);
      }
    }
  }
}

#ifdef __GLIBC__
TEST_CASE("what a damaged JPEG decodes to does not depend on what memory held before") {
  const Bytes file = from_hex(kJpeg);
  const auto pictures = [&](int filling) {
    mallopt(M_PERTURB, filling);
    std::vector<std::vector<uint8_t>> pixels;
    for (size_t at = 0; at < file.size(); ++at) {
      for (const int value : {0x00, 0x01, 0x02, 0x03, 0x10, 0x11, 0x7f, 0xff}) {
        Bytes damaged = file;
        damaged[at] = static_cast<std::byte>(value);
        Image image;
        pixels.emplace_back();
        if (decode_image("picture", damaged, {}, &image)) pixels.back() = image.pixels;
      }
    }
    mallopt(M_PERTURB, 0);
    return pixels;
  };
  const std::vector<std::vector<uint8_t>> expected = pictures(0x01);
  for (const int filling : {0x55, 0xaa, 0xfe, 0xff}) {
    CAPTURE(filling);
    const bool equal = pictures(filling) == expected;
    CHECK(equal);
  }
}
#endif

TEST_CASE("a damaged byte of a PNG is an error") {
  const Bytes file = png(3, 2, 3, std::vector<uint8_t>(18, 77));
  for (size_t at = 0; at < file.size(); ++at) {
    CAPTURE(at);
    Bytes damaged = file;
    damaged[at] ^= std::byte{0x10};
    CHECK(decode_error(damaged) != "");
  }
}

TEST_CASE("a PNG that claims a huge size is an error") {
  const Bytes file = png(1, 1, 1, {0});
  for (const uint32_t side : {30000u, 1000000u, 0x7fffffffu}) {
    Bytes header;
    put(&header, "IHDR");
    put_big(&header, side, 4);
    put_big(&header, 30000, 4);
    put_big(&header, 0x0800000000, 5);
    Bytes crafted = first(file, 12);
    crafted.insert(crafted.end(), header.begin(), header.end());
    // With the right sum, so that the size itself is judged.
    put_big(&crafted, crc32_of(header), 4);
    crafted.insert(crafted.end(), file.begin() + 33, file.end());
    const std::string error = decode_error(crafted);
    CHECK(error != "");
    CHECK(!contains(error, "checksum"));
  }
}

TEST_CASE("what is no image says which kinds are") {
  CHECK(decode_error({}) ==
        "picture: not a PNG, JPEG, WebP, TIFF, GIF, BMP or PNM image; convert it");
  Bytes text;
  put(&text, "P7 and more");
  CHECK(contains(decode_error(text), "not a PNG, JPEG"));
}

TEST_CASE("an image of the wanted size keeps its bytes") {
  const Image image = pattern();
  CHECK(preprocessed(stretch_to(7, 5, 3), image) == image.pixels);
}

TEST_CASE("bilinear uses half-pixel centres, clamps at the edges and rounds halves to even") {
  const Image two{2, 1, 1, {0, 100}};
  CHECK(preprocessed(stretch_to(4, 1, 1), two) == std::vector<uint8_t>{0, 25, 75, 100});
  CHECK(preprocessed(stretch_to(1, 1, 1), two) == std::vector<uint8_t>{50});
  const Image column{1, 2, 1, {0, 100}};
  CHECK(preprocessed(stretch_to(1, 4, 1), column) == std::vector<uint8_t>{0, 25, 75, 100});
  const Image four{4, 1, 1, {0, 100, 200, 250}};
  CHECK(preprocessed(stretch_to(1, 1, 1), four) == std::vector<uint8_t>{150});  // no antialiasing
  const Image halves{4, 1, 1, {0, 1, 1, 2}};
  CHECK(preprocessed(stretch_to(2, 1, 1), halves) == std::vector<uint8_t>{0, 2});
  const Image one{1, 1, 1, {9}};
  CHECK(preprocessed(stretch_to(3, 2, 1), one) == std::vector<uint8_t>(6, 9));
}

TEST_CASE("resizing gives what PyTorch's interpolate gives") {
  const Image image = pattern();
  const std::vector<uint8_t> small = preprocessed(stretch_to(3, 4, 3), image);
  const std::vector<uint8_t> red{66, 26, 135, 122, 113, 105, 177, 201, 171, 83, 64, 109};
  for (size_t i = 0; i < red.size(); ++i) CHECK(small[3 * i] == red[i]);

  // Sizes at which no value is close to a half, where rounding errors would decide.
  struct Row {
    int width, height;
    int64_t sum, weighted_sum;  // of value, of value * (1 + position)
  };
  for (const Row& row : {Row{3, 4, 4455, 82250}, Row{9, 7, 24322, 2345891},
                         Row{13, 9, 45402, 8079390}, Row{14, 10, 54408, 11579746}}) {
    const std::vector<uint8_t> out = preprocessed(stretch_to(row.width, row.height, 3), image);
    int64_t sum = 0, weighted_sum = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      sum += out[i];
      weighted_sum += out[i] * static_cast<int64_t>(i + 1);
    }
    CHECK(sum == row.sum);
    CHECK(weighted_sum == row.weighted_sum);
  }
}

TEST_CASE("channels are converted, and alpha is ignored") {
  const Image grey{1, 1, 1, {70}}, grey_alpha{1, 1, 2, {70, 3}};
  const Image rgb{1, 1, 3, {200, 100, 50}}, rgba{1, 1, 4, {200, 100, 50, 3}};
  ImagePreprocess bgr = stretch_to(1, 1, 3);
  bgr.bgr = true;
  for (const Image& image : {grey, grey_alpha}) {
    CHECK(preprocessed(stretch_to(1, 1, 1), image) == std::vector<uint8_t>{70});
    CHECK(preprocessed(stretch_to(1, 1, 3), image) == std::vector<uint8_t>{70, 70, 70});
    CHECK(preprocessed(bgr, image) == std::vector<uint8_t>{70, 70, 70});
  }
  for (const Image& image : {rgb, rgba}) {
    CHECK(preprocessed(stretch_to(1, 1, 3), image) == std::vector<uint8_t>{200, 100, 50});
    CHECK(preprocessed(bgr, image) == std::vector<uint8_t>{50, 100, 200});
    // 59.8 + 58.7 + 5.7
    CHECK(preprocessed(stretch_to(1, 1, 1), image) == std::vector<uint8_t>{124});
  }
  const Image white{1, 1, 3, {255, 255, 255}};
  CHECK(preprocessed(stretch_to(1, 1, 1), white) == std::vector<uint8_t>{255});
}

TEST_CASE("a centre crop takes the middle after resizing the shorter side") {
  const Image wide{5, 1, 1, {10, 20, 30, 40, 50}};
  CHECK(preprocessed(crop_to(1, 1, 1, 1), wide) == std::vector<uint8_t>{30});
  const Image tall{1, 4, 1, {10, 20, 30, 40}};  // 1.5 rounds to row 2
  CHECK(preprocessed(crop_to(1, 1, 1, 1), tall) == std::vector<uint8_t>{30});
  // To 4 x 2, whose columns are 10, 12.5, 17.5, 20: the middle two.
  const Image two{2, 1, 1, {10, 20}};
  CHECK(preprocessed(crop_to(2, 2, 1, 2), two) == std::vector<uint8_t>{12, 18, 12, 18});
}

TEST_CASE("a crop of a whole resized image is a stretch to its size") {
  const Image image = pattern();  // 7 x 5 to 14 x 10, of which the middle 10 x 10
  const std::vector<uint8_t> whole = preprocessed(stretch_to(14, 10, 3), image);
  const std::vector<uint8_t> crop = preprocessed(crop_to(10, 10, 3, 10), image);
  for (size_t y = 0; y < 10; ++y)
    for (size_t i = 0; i < 30; ++i) CHECK(crop[y * 30 + i] == whole[y * 42 + 6 + i]);
}

TEST_CASE("an extremely long image can be cropped") {
  Image image{60000, 1, 1, std::vector<uint8_t>(60000, 5)};
  CHECK(preprocessed(crop_to(4, 4, 1, 256), image) == std::vector<uint8_t>(16, 5));
}

TEST_CASE("impossible image front ends are refused") {
  CHECK(contains(check_image_preprocess(stretch_to(0, 1, 3)).message(), "0 x 1"));
  CHECK(contains(check_image_preprocess(stretch_to(1, -1, 3)).message(), "1 x -1"));
  CHECK(contains(check_image_preprocess(stretch_to(1, 1, 2)).message(), "2 channels"));
  ImagePreprocess unknown = stretch_to(1, 1, 3);
  unknown.interpolation = static_cast<Interpolation>(3);
  CHECK(contains(check_image_preprocess(unknown).message(), "unknown interpolation 3"));
  CHECK(contains(check_image_preprocess(crop_to(8, 4, 3, 7)).message(), "7 pixels"));
  CHECK(check_image_preprocess(crop_to(8, 4, 3, 8)));
}

}  // namespace
}  // namespace attune::test
