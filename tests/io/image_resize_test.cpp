// Against Pillow 9.4 and torchvision 0.14, to the bit.
#include <doctest/doctest.h>

#include <algorithm>

#include "engine/io/image.h"
#include "tests/support/files.h"

namespace attune::test {
namespace {

// As in the script that made the sums below.
Image pattern(int width, int height, int channels) {
  Image image{width, height, channels, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      int rgb[3];
      for (int c = 0; c < 3; ++c)
        rgb[c] = (y * 37 + x * 91 + c * 53 + x * y * 11 + (x / 9) * (y / 7) * 29) % 256;
      if (channels == 1)  // Pillow's convert("L")
        rgb[0] = (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16;
      for (int c = 0; c < channels; ++c) image.pixels.push_back(static_cast<uint8_t>(rgb[c]));
    }
  return image;
}

std::vector<uint8_t> resized(const ImagePreprocess& config, const Image& image) {
  std::vector<uint8_t> out(static_cast<size_t>(config.width * config.height * config.channels));
  REQUIRE(check_image_preprocess(config));
  preprocess_image(config, image.view(), out);
  return out;
}

constexpr Interpolation kBilinear = Interpolation::bilinear, kBicubic = Interpolation::bicubic;

TEST_CASE("resizing gives what Pillow and torchvision give, to the bit") {
  struct Row {
    int in_width, in_height, width, height, channels, shorter;  // 0: stretched
    Interpolation interpolation;
    int64_t sum, weighted_sum;  // of value, of value * (1 + position)
  };
  const Row rows[] = {
      {61, 43, 3, 2, 3, 0, kBilinear, 2304, 21883},
      {61, 43, 28, 28, 3, 0, kBilinear, 300849, 354636971},
      {61, 43, 61, 20, 3, 0, kBilinear, 468215, 858692781},
      {61, 43, 140, 99, 3, 0, kBilinear, 5319652, 110820369503},
      {61, 43, 4, 3, 3, 4, kBilinear, 4596, 84936},
      {61, 43, 30, 28, 3, 33, kBilinear, 323413, 408701484},
      {61, 43, 90, 60, 3, 101, kBilinear, 2076887, 16820445250},
      {61, 43, 3, 2, 1, 0, kBilinear, 766, 2673},
      {61, 43, 28, 28, 1, 0, kBilinear, 99882, 39164367},
      {61, 43, 61, 20, 1, 0, kBilinear, 155426, 94794546},
      {61, 43, 140, 99, 1, 0, kBilinear, 1765893, 12227974272},
      {61, 43, 4, 3, 1, 4, kBilinear, 1532, 9912},
      {61, 43, 30, 28, 1, 33, kBilinear, 107284, 44970095},
      {61, 43, 90, 60, 1, 101, kBilinear, 689536, 1857288684},
      {61, 43, 3, 2, 3, 0, kBicubic, 2302, 21862},
      {61, 43, 28, 28, 3, 0, kBicubic, 300860, 354627382},
      {61, 43, 61, 20, 3, 0, kBicubic, 468209, 858714197},
      {61, 43, 140, 99, 3, 0, kBicubic, 5319427, 110817411507},
      {61, 43, 4, 3, 3, 4, kBicubic, 4597, 84903},
      {61, 43, 30, 28, 3, 33, kBicubic, 323605, 408696065},
      {61, 43, 90, 60, 3, 101, kBicubic, 2076699, 16817492078},
      {61, 43, 3, 2, 1, 0, kBicubic, 766, 2671},
      {61, 43, 28, 28, 1, 0, kBicubic, 99874, 39162081},
      {61, 43, 61, 20, 1, 0, kBicubic, 155449, 94798889},
      {61, 43, 140, 99, 1, 0, kBicubic, 1766102, 12229549122},
      {61, 43, 4, 3, 1, 4, kBicubic, 1531, 9903},
      {61, 43, 30, 28, 1, 33, kBicubic, 107332, 44962258},
      {61, 43, 90, 60, 1, 101, kBicubic, 689603, 1857630252},
      {7, 5, 3, 2, 3, 0, kBilinear, 2344, 22253},
      {7, 5, 28, 28, 3, 0, kBilinear, 304948, 362676704},
      {7, 5, 61, 20, 3, 0, kBilinear, 474300, 877575007},
      {7, 5, 140, 99, 3, 0, kBilinear, 5387008, 113177996342},
      {7, 5, 4, 3, 3, 4, kBilinear, 4631, 86315},
      {7, 5, 30, 28, 3, 33, kBilinear, 323756, 396366393},
      {7, 5, 90, 60, 3, 101, kBilinear, 2082699, 16512707440},
      {7, 5, 3, 2, 1, 0, kBilinear, 789, 2750},
      {7, 5, 28, 28, 1, 0, kBilinear, 102928, 40971258},
      {7, 5, 61, 20, 1, 0, kBilinear, 160128, 99157578},
      {7, 5, 140, 99, 1, 0, kBilinear, 1818983, 12779327182},
      {7, 5, 4, 3, 1, 4, kBilinear, 1560, 10102},
      {7, 5, 30, 28, 1, 33, kBilinear, 110671, 44683431},
      {7, 5, 90, 60, 1, 101, kBilinear, 699034, 1809997081},
      {7, 5, 3, 2, 3, 0, kBicubic, 2341, 22234},
      {7, 5, 28, 28, 3, 0, kBicubic, 304484, 362435091},
      {7, 5, 61, 20, 3, 0, kBicubic, 473705, 877461905},
      {7, 5, 140, 99, 3, 0, kBicubic, 5381799, 113197001770},
      {7, 5, 4, 3, 3, 4, kBicubic, 4611, 85945},
      {7, 5, 30, 28, 3, 33, kBicubic, 324103, 395015577},
      {7, 5, 90, 60, 3, 101, kBicubic, 2082456, 16481255556},
      {7, 5, 3, 2, 1, 0, kBicubic, 787, 2744},
      {7, 5, 28, 28, 1, 0, kBicubic, 102935, 41082323},
      {7, 5, 61, 20, 1, 0, kBicubic, 160145, 99427519},
      {7, 5, 140, 99, 1, 0, kBicubic, 1819188, 12813553874},
      {7, 5, 4, 3, 1, 4, kBicubic, 1556, 10089},
      {7, 5, 30, 28, 1, 33, kBicubic, 110814, 44437690},
      {7, 5, 90, 60, 1, 101, kBicubic, 697359, 1795755375},
      {200, 3, 3, 2, 3, 0, kBilinear, 2292, 21780},
      {200, 3, 28, 28, 3, 0, kBilinear, 299147, 351371789},
      {200, 3, 61, 20, 3, 0, kBilinear, 465497, 850791052},
      {200, 3, 140, 99, 3, 0, kBilinear, 5289438, 109791029772},
      {200, 3, 4, 3, 3, 4, kBilinear, 4790, 90326},
      {200, 3, 30, 28, 3, 33, kBilinear, 343182, 440909004},
      {200, 3, 90, 60, 3, 101, kBilinear, 2171028, 17824537513},
      {200, 3, 3, 2, 1, 0, kBilinear, 764, 2676},
      {200, 3, 28, 28, 1, 0, kBilinear, 99761, 39069995},
      {200, 3, 61, 20, 1, 0, kBilinear, 155234, 94596138},
      {200, 3, 140, 99, 1, 0, kBilinear, 1763883, 12201144875},
      {200, 3, 4, 3, 1, 4, kBilinear, 1539, 10329},
      {200, 3, 30, 28, 1, 33, kBilinear, 110135, 47164994},
      {200, 3, 90, 60, 1, 101, kBilinear, 714951, 1953882276},
      {200, 3, 3, 2, 3, 0, kBicubic, 2289, 21759},
      {200, 3, 28, 28, 3, 0, kBicubic, 299094, 351260372},
      {200, 3, 61, 20, 3, 0, kBicubic, 465441, 850543466},
      {200, 3, 140, 99, 3, 0, kBicubic, 5286512, 109725748515},
      {200, 3, 4, 3, 3, 4, kBicubic, 4758, 90139},
      {200, 3, 30, 28, 3, 33, kBicubic, 343810, 442851601},
      {200, 3, 90, 60, 3, 101, kBicubic, 2168025, 17845098423},
      {200, 3, 3, 2, 1, 0, kBicubic, 763, 2674},
      {200, 3, 28, 28, 1, 0, kBicubic, 99718, 39041175},
      {200, 3, 61, 20, 1, 0, kBicubic, 155194, 94547460},
      {200, 3, 140, 99, 1, 0, kBicubic, 1762780, 12192634612},
      {200, 3, 4, 3, 1, 4, kBicubic, 1530, 10325},
      {200, 3, 30, 28, 1, 33, kBicubic, 110470, 47436467},
      {200, 3, 90, 60, 1, 101, kBicubic, 717728, 1965416605},
  };
  for (const Row& row : rows) {
    CAPTURE(row.in_width);
    CAPTURE(row.width);
    CAPTURE(row.shorter);
    ImagePreprocess config;
    config.width = row.width, config.height = row.height, config.channels = row.channels;
    config.interpolation = row.interpolation;
    if (row.shorter > 0) config.resize = Resize::center_crop, config.resize_shorter = row.shorter;
    // Grey of a colour picture is taken before it is resized.
    for (const int stored : {row.channels, 3}) {
      const Image image = pattern(row.in_width, row.in_height, stored);
      const std::vector<uint8_t> out = resized(config, image);
      int64_t sum = 0, weighted_sum = 0;
      for (size_t i = 0; i < out.size(); ++i) {
        sum += out[i];
        weighted_sum += out[i] * static_cast<int64_t>(i + 1);
      }
      CHECK(sum == row.sum);
      CHECK(weighted_sum == row.weighted_sum);
    }
  }
}

TEST_CASE("shrinking a fine checkerboard makes it grey, unless antialiasing is off") {
  Image image{160, 160, 1, {}};
  for (int i = 0; i < 160 * 160; ++i)
    image.pixels.push_back((i % 160 + i / 160) % 2 == 0 ? 255 : 0);
  ImagePreprocess config;
  config.width = config.height = 8, config.channels = 1;
  const auto spread = [&](Interpolation interpolation) {
    config.interpolation = interpolation;
    const std::vector<uint8_t> out = resized(config, image);
    const auto [least, most] = std::minmax_element(out.begin(), out.end());
    return std::pair<int, int>(*least, *most);
  };
  for (const Interpolation filter : {kBilinear, kBicubic}) {
    CHECK(spread(filter).first >= 126);
    CHECK(spread(filter).second <= 129);
  }
  config.width = config.height = 9;
  CHECK(spread(Interpolation::bilinear_aliased).second > 200);
}

TEST_CASE("every kind of picture fills the channels that are asked for") {
  const Image grey = pattern(20, 30, 1);
  Image grey_alpha{20, 30, 2, {}};
  for (const uint8_t v : grey.pixels) grey_alpha.pixels.insert(grey_alpha.pixels.end(), {v, 9});
  const Image rgb = pattern(20, 30, 3);
  Image rgba{20, 30, 4, {}};
  for (size_t i = 0; i < rgb.pixels.size(); i += 3)
    rgba.pixels.insert(rgba.pixels.end(), {rgb.pixels[i], rgb.pixels[i + 1], rgb.pixels[i + 2], 9});
  ImagePreprocess one, three, bgr;
  for (ImagePreprocess* config : {&one, &three, &bgr}) config->width = 7, config->height = 8;
  one.channels = 1, bgr.bgr = true;
  CHECK(resized(one, grey_alpha) == resized(one, grey));
  CHECK(resized(one, rgba) == resized(one, grey));
  CHECK(resized(three, rgba) == resized(three, rgb));
  const auto same = resized(one, grey), threefold = resized(three, grey_alpha);
  for (size_t i = 0; i < threefold.size(); ++i) CHECK(threefold[i] == same[i / 3]);
  const auto forward = resized(three, rgb), backward = resized(bgr, rgba);
  for (size_t i = 0; i < forward.size(); ++i) CHECK(forward[i] == backward[i / 3 * 3 + 2 - i % 3]);
}

}  // namespace
}  // namespace attune::test
