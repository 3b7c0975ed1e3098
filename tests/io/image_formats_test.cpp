// Small pictures of every format.
#include "engine/io/image_formats.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "engine/random.h"
#include "tests/support/files.h"
#include "tests/support/pictures.h"

namespace attune::test {
namespace {

const Picture& picture(std::string_view name) {
  const auto at = std::ranges::find(pictures(), name, &Picture::name);
  REQUIRE(at != pictures().end());
  return *at;
}

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

Bytes rgb_of(const Image& image) {
  Bytes rgb;
  const auto channels = static_cast<size_t>(image.channels);
  for (size_t i = 0; i < image.pixels.size(); i += channels)
    for (size_t c = 0; c < 3; ++c)
      rgb.push_back(static_cast<std::byte>(image.pixels[i + (channels < 3 ? 0 : c)]));
  return rgb;
}

// EXIF data that tell an orientation, behind another entry.
Bytes exif(int orientation, bool big_endian) {
  Bytes bytes;
  put(&bytes, big_endian ? "MM" : "II");
  const auto number = [&](uint64_t value, int count) {
    big_endian ? put_big(&bytes, value, count) : put_little(&bytes, value, count);
  };
  number(42, 2), number(8, 4), number(2, 2);
  number(0x0100, 2), number(4, 2), number(1, 4), number(77, 4);
  number(0x0112, 2), number(3, 2), number(1, 4), number(static_cast<uint64_t>(orientation), 2);
  number(0, 2), number(0, 4);
  return bytes;
}

Bytes inserted(const Bytes& file, size_t at, const Bytes& part) {
  Bytes result = first(file, at);
  result.insert(result.end(), part.begin(), part.end());
  result.insert(result.end(), file.begin() + static_cast<std::ptrdiff_t>(at), file.end());
  return result;
}

Bytes jpeg_turned(int orientation, bool big_endian) {
  const Bytes data = exif(orientation, big_endian);
  Bytes segment = from_hex("ffe1");
  put_big(&segment, data.size() + 8, 2);
  put(&segment, std::string_view("Exif\0\0", 6));
  segment.insert(segment.end(), data.begin(), data.end());
  return inserted(from_hex(picture("JPEG of grey").hex), 2, segment);
}

Bytes png_turned(int orientation, bool big_endian) {
  const Bytes data = exif(orientation, big_endian);
  Bytes body;
  put(&body, "eXIf");
  body.insert(body.end(), data.begin(), data.end());
  Bytes chunk;
  put_big(&chunk, data.size(), 4);
  chunk.insert(chunk.end(), body.begin(), body.end());
  put_big(&chunk, crc32_of(body), 4);
  const Bytes file = png(3, 2, 1, {1, 2, 3, 4, 5, 6});
  return inserted(file, file.size() - 12, chunk);  // behind the picture
}

// The TIFF with its orientation tag.
Bytes tiff_turned(int orientation) {
  Bytes file = from_hex(picture("TIFF").hex);
  const size_t directory = std::to_integer<size_t>(file[4]) | std::to_integer<size_t>(file[5]) << 8;
  const size_t entries = std::to_integer<size_t>(file[directory]);
  Bytes entry;
  put_little(&entry, 0x0112, 2), put_little(&entry, 3, 2), put_little(&entry, 1, 4);
  put_little(&entry, static_cast<uint64_t>(orientation), 4);
  // A directory of its own behind the file: the entry takes the place of its order.
  Bytes moved;
  put_little(&moved, entries + 1, 2);
  bool placed = false;
  for (size_t i = 0; i < entries; ++i) {
    const auto at = file.begin() + static_cast<std::ptrdiff_t>(directory + 2 + 12 * i);
    const int tag = std::to_integer<int>(at[0]) | std::to_integer<int>(at[1]) << 8;
    if (!placed && tag > 0x0112) {
      moved.insert(moved.end(), entry.begin(), entry.end());
      placed = true;
    }
    moved.insert(moved.end(), at, at + 12);
  }
  REQUIRE(placed);
  put_little(&moved, 0, 4);
  if (file.size() % 2 == 1) file.push_back({});
  const size_t end = file.size();
  for (size_t i = 0; i < 4; ++i) file[4 + i] = static_cast<std::byte>(end >> 8 * i);
  file.insert(file.end(), moved.begin(), moved.end());
  return file;
}

// What Pillow's exif_transpose makes of it, said pixel by pixel.
Image turned(const Image& in, int orientation) {
  Image out{in.width, in.height, in.channels, {}};
  if (orientation >= 5) std::swap(out.width, out.height);
  const int w = in.width - 1, h = in.height - 1;
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      const int from[9][2] = {{},     {x, y},     {w - x, y},     {w - x, h - y}, {x, h - y},
                              {y, x}, {y, h - x}, {w - y, h - x}, {w - y, x}};
      const auto [from_x, from_y] = from[orientation];
      for (int c = 0; c < in.channels; ++c)
        out.pixels.push_back(
            in.pixels[static_cast<size_t>((from_y * in.width + from_x) * in.channels + c)]);
    }
  return out;
}

TEST_CASE("pictures of every format decode to what Pillow gives") {
  for (const Picture& p : pictures()) {
    CAPTURE(std::string(p.name));
    const Image image = decoded(from_hex(p.hex));
    CHECK(image.width == p.width);
    CHECK(image.height == p.height);
    CHECK(crc32_of(rgb_of(image)) == p.sum);
  }
}

TEST_CASE("a picture is turned upright as its orientation tells") {
  const Image jpeg = decoded(from_hex(picture("JPEG of grey").hex));
  const Image tiff = decoded(from_hex(picture("TIFF").hex));
  const Image small{3, 2, 1, {1, 2, 3, 4, 5, 6}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    const auto check = [&](const Bytes& file, const Image& stored) {
      const Image image = decoded(file), expected = turned(stored, orientation);
      CHECK(image.width == expected.width);
      CHECK(image.height == expected.height);
      CHECK(image.pixels == expected.pixels);
    };
    check(tiff_turned(orientation), tiff);
    for (const bool big_endian : {false, true}) {
      check(jpeg_turned(orientation, big_endian), jpeg);
      check(png_turned(orientation, big_endian), small);
    }
  }
  // By Pillow: ROTATE_270 of these is the picture turned clockwise.
  CHECK(decoded(png_turned(6, true)).pixels == std::vector<uint8_t>{4, 1, 5, 2, 6, 3});
  for (const int none : {0, 9, 65535})
    CHECK(decoded(jpeg_turned(none, true)).pixels == jpeg.pixels);
}

TEST_CASE("large pictures are turned as small ones are") {
  Image image{70, 45, 3, {}};
  for (int i = 0; i < 70 * 45 * 3; ++i) image.pixels.push_back(static_cast<uint8_t>(i * 31 / 7));
  for (int orientation = 1; orientation <= 8; ++orientation) {
    Image out = image;
    apply_orientation(orientation, &out);
    CHECK(out.pixels == turned(image, orientation).pixels);
  }
}

TEST_CASE("EXIF data cut at any length tell nothing, or what the whole tell") {
  const Bytes whole = exif(6, false);
  for (size_t length = 0; length <= whole.size(); ++length) {
    const int orientation = exif_orientation(first(whole, length));
    CHECK((orientation == 1 || orientation == 6));
  }
  CHECK(exif_orientation(whole) == 6);
  // In four bytes, as few programs write it.
  Bytes wide = exif(1, true);
  wide[8 + 2 + 12 + 3] = std::byte{4};
  CHECK(exif_orientation(wide) == 1);
  wide[8 + 2 + 12 + 8 + 1] = std::byte{0}, wide[8 + 2 + 12 + 8 + 3] = std::byte{6};
  CHECK(exif_orientation(wide) == 6);
}

TEST_CASE("a JPEG that lacks but its end mark is whole") {
  for (const char* name : {"JPEG of grey", "JPEG, 4:2:0", "JPEG, progressive"}) {
    CAPTURE(name);
    const Bytes file = from_hex(picture(name).hex);
    CHECK(decoded(first(file, file.size() - 1)).pixels == decoded(file).pixels);
    CHECK(decoded(first(file, file.size() - 2)).pixels == decoded(file).pixels);
    for (size_t length = 0; length < file.size() - 2; ++length) {
      CAPTURE(length);
      CHECK(decode_error(first(file, length)) != "");
    }
  }
}

TEST_CASE("a JPEG whose end mark comes too early is cut short") {
  const Bytes file = from_hex(picture("JPEG, 4:2:0").hex);
  Bytes cut = first(file, file.size() - 12);
  cut.push_back(std::byte{0xff}), cut.push_back(std::byte{0xd9});
  CHECK(contains(decode_error(cut), "cut short"));
}

TEST_CASE("a JPEG that goes through its picture again and again is an error") {
  const Bytes file = from_hex(picture("JPEG, progressive").hex);
  const Bytes mark = from_hex("ffda");
  const auto last =
      std::find_end(file.begin(), file.end(), mark.begin(), mark.end()) - file.begin();
  Bytes again = first(file, file.size() - 2);
  const Bytes scan(file.begin() + last, file.end() - 2);
  for (int i = 0; i < 100; ++i) again.insert(again.end(), scan.begin(), scan.end());
  again.insert(again.end(), file.end() - 2, file.end());
  CHECK(contains(decode_error(again), "more than 64 scans"));
}

TEST_CASE("a picture of another format cut at any length is an error or all there") {
  for (const Picture& p : pictures()) {
    CAPTURE(std::string(p.name));
    const Bytes file = from_hex(p.hex);
    for (size_t length = 0; length < file.size(); ++length) {
      CAPTURE(length);
      Image image;
      // Formats may end in what no pixel needs.
      if (decode_image("picture", first(file, length), {}, &image))
        CHECK(crc32_of(rgb_of(image)) == p.sum);
    }
  }
}

TEST_CASE("no damaged bit of any picture crashes its decoder") {
  Random random(7, 0);
  for (const Picture& p : pictures()) {
    const Bytes file = from_hex(p.hex);
    for (int i = 0; i < 400; ++i) {
      Bytes damaged = file;
      const int bits = 1 + static_cast<int>(random.below(3));
      for (int k = 0; k < bits; ++k)
        damaged[random.below(static_cast<uint32_t>(file.size()))] ^=
            static_cast<std::byte>(1 << random.below(8));
      Image image;
      if (decode_image("picture", damaged, {}, &image))
        CHECK(image.pixels.size() == size_t{1} * image.width * image.height * image.channels);
    }
  }
}

TEST_CASE("16 bits of grey are scaled to 8") {
  Bytes pgm;
  put(&pgm, "P5 2 1 65535\n");
  put_big(&pgm, 0x80ff, 2), put_big(&pgm, 0xffff, 2);
  CHECK(decoded(pgm).pixels == std::vector<uint8_t>{128, 255});
}

TEST_CASE("runs of a BMP pass over pixels, and an odd number of half bytes is whole") {
  // By the format's description: Pillow 9.4 reads both wrong.
  Bytes file = from_hex(picture("BMP, runs of half bytes").hex);
  const size_t data = file.size() - 16;
  file.resize(data);
  for (const int byte : {0, 3, 0x12, 0x30, 0, 2, 1, 1, 1, 0x40, 0, 1})
    file.push_back(static_cast<std::byte>(byte));
  const Image image = decoded(file),
              whole = decoded(from_hex(picture("BMP, runs of half bytes").hex));
  const auto colour = [](const Image& of, int x, int y) {
    const auto at = of.pixels.begin() + (y * of.width + x) * 3;
    return std::vector<uint8_t>(at, at + 3);
  };
  const auto one = colour(whole, 0, 2), two = colour(whole, 1, 2);
  CHECK(colour(image, 0, 2) == one);
  CHECK(colour(image, 1, 2) == two);
  CHECK(colour(image, 2, 2) == colour(whole, 0, 1));  // 3
  CHECK(colour(image, 4, 1) == colour(whole, 1, 1));  // 4
  CHECK(colour(image, 0, 0) == colour(image, 3, 1));  // 0, passed over
}

}  // namespace
}  // namespace attune::test
