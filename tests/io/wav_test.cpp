#include "engine/io/wav.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "tests/support/files.h"

namespace attune::test {
namespace {

Status parse(const Bytes& file, WavHeader* header, Audio* audio) {
  ATTUNE_RETURN_IF_ERROR(parse_wav_header("clip.wav", file, file.size(), header));
  return read_wav("clip.wav", file, *header, audio);
}

Audio parsed(const Bytes& file) {
  WavHeader header;
  Audio audio;
  const Status status = parse(file, &header, &audio);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  CHECK_FALSE(header.cut_short);
  return audio;
}

std::string parse_error(const Bytes& file) {
  WavHeader header;
  Audio audio;
  return parse(file, &header, &audio).message();
}

// The samples of what is there, where the header claims more.
std::vector<float> cut_short(const Bytes& file) {
  WavHeader header;
  Audio audio;
  const Status status = parse(file, &header, &audio);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  CHECK(header.cut_short);
  return audio.samples;
}

void set_little_u32(Bytes* file, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) (*file)[at + i] = static_cast<std::byte>(value >> (8 * i));
}

Bytes numbers(const std::vector<int64_t>& values, int bytes) {
  Bytes data;
  for (int64_t value : values) put_little(&data, static_cast<uint64_t>(value), bytes);
  return data;
}

TEST_CASE("every PCM width gives the same samples") {
  struct Row {
    int bits;
    std::vector<int64_t> values;
  };
  const Row rows[] = {{8, {128, 192, 0, 64}},
                      {16, {0, 16384, -32768, -16384}},
                      {24, {0, 4194304, -8388608, -4194304}},
                      {32, {0, 1073741824, -2147483648, -1073741824}}};
  for (const Row& row : rows) {
    for (const bool extensible : {false, true}) {
      CAPTURE(row.bits);
      const Audio audio =
          parsed(wav({1, 1, row.bits, 8000, extensible}, numbers(row.values, row.bits / 8)));
      CHECK(audio.sample_rate == 8000);
      CHECK(audio.samples == std::vector<float>{0.0f, 0.5f, -1.0f, -0.5f});
    }
  }
}

TEST_CASE("the lowest bit of 24 bits counts") {
  const Audio audio = parsed(wav({1, 1, 24, 16000, false}, numbers({1, -1}, 3)));
  CHECK(audio.samples == std::vector<float>{0x1p-23f, -0x1p-23f});
}

TEST_CASE("float samples are taken as they are") {
  Bytes narrow, wide;
  for (const float value : {0.25f, -1.5f}) {
    put_little(&narrow, std::bit_cast<uint32_t>(value), 4);
    put_little(&wide, std::bit_cast<uint64_t>(double{value}), 8);
  }
  const std::vector<float> expected{0.25f, -1.5f};
  CHECK(parsed(wav({3, 1, 32, 16000, false}, narrow)).samples == expected);
  CHECK(parsed(wav({3, 1, 32, 16000, true}, narrow)).samples == expected);
  CHECK(parsed(wav({3, 1, 64, 16000, false}, wide)).samples == expected);
}

TEST_CASE("several channels become their mean") {
  const Bytes stereo = wav({1, 2, 16, 16000, false}, numbers({16384, 0, -16384, -16384}, 2));
  CHECK(parsed(stereo).samples == std::vector<float>{0.25f, -0.5f});
  const Bytes three = wav({1, 3, 24, 16000, false}, numbers({4194304, 4194304, -2097152}, 3));
  CHECK(parsed(three).samples == std::vector<float>{0.25f});
}

TEST_CASE("chunks of odd length are padded and unknown ones passed over") {
  Bytes file;
  put(&file, "RIFF");
  put_little(&file, 4 + 8 + 4 + 24 + 8 + 2, 4);
  put(&file, "WAVELIST");
  put_little(&file, 3, 4);
  put(&file, "abc");
  put_little(&file, 0, 1);
  const Bytes plain = wav16({8192});
  file.insert(file.end(), plain.begin() + 12, plain.end());
  CHECK(parsed(file).samples == std::vector<float>{0.25f});
}

TEST_CASE("an odd number of 8-bit samples is read whole") {
  CHECK(parsed(wav({1, 1, 8, 16000, false}, numbers({128, 192, 0}, 1))).samples.size() == 3);
}

TEST_CASE("A-law and mu-law are decoded") {
  const std::vector<int64_t> codes{0x00, 0x0f, 0x10, 0x55, 0x7f, 0x80,
                                   0x8f, 0xa3, 0xd5, 0xff, 0x2a, 0xc7};
  struct Row {
    int code;
    std::vector<int> values;  // of soundfile 0.14, in 16 bits
  };
  const Row rows[] = {
      {7, {-32124, -16764, -15996, -716, 0, 32124, 16764, 7164, 716, 0, -5372, 1436}},
      {6, {-5504, -6784, -2752, -8, -848, 5504, 6784, 23040, 8, 848, -32256, 296}}};
  for (const Row& row : rows)
    for (const bool extensible : {false, true}) {
      std::vector<float> expected;
      for (int value : row.values) expected.push_back(static_cast<float>(value) / 32768.0f);
      CHECK(parsed(wav({row.code, 1, 8, 8000, extensible}, numbers(codes, 1))).samples == expected);
    }
}

TEST_CASE("PCM of an odd number of bits fills the high bits of whole bytes") {
  Bytes file = wav({1, 1, 16, 16000, false}, numbers({16384, -32768}, 2));
  file[34] = std::byte{12};
  CHECK(parsed(file).samples == std::vector<float>{0.5f, -1.0f});
}

TEST_CASE("sizes that a writer never filled in reach to the end of the file") {
  struct Row {
    uint32_t riff, data;
  };
  const Row rows[] = {{0xffffffff, 0xffffffff},
                      {0x7ffff024, 0x7ffff000},
                      {0x7fffffff, 0x7fffffff},
                      {0x80000024, 0x80000000},
                      {0, 0},
                      {36, 0},
                      {0xffffffff, 0},
                      {40, 0xffffffff}};
  for (const Row& row : rows) {
    CAPTURE(row.riff);
    CAPTURE(row.data);
    Bytes file = wav16({8192, -8192});
    set_little_u32(&file, 4, row.riff);
    set_little_u32(&file, 40, row.data);
    CHECK(parsed(file).samples == std::vector<float>{0.25f, -0.25f});
  }
}

TEST_CASE("the whole file's size does not matter") {
  for (const uint32_t riff : {0u, 39u, 48u, 4000u, 0xffffffffu}) {
    Bytes file = wav16({8192, -8192});
    set_little_u32(&file, 4, riff);
    CHECK(parsed(file).samples == std::vector<float>{0.25f, -0.25f});
  }
}

TEST_CASE("an empty data chunk with other chunks behind it holds no sample") {
  Bytes file = wav16({});
  put(&file, "LIST");
  put_little(&file, 4, 4);
  put(&file, "abcd");
  set_little_u32(&file, 4, static_cast<uint32_t>(file.size() - 8));
  CHECK(contains(parse_error(file), "holds no sample"));
}

TEST_CASE("RF64 and BW64 have their size in a chunk of its own") {
  for (const char* name : {"RF64", "BW64"})
    for (const uint64_t size : {uint64_t{4}, uint64_t{400}, uint64_t{1} << 40}) {
      Bytes file;
      put(&file, name);
      put_little(&file, 0xffffffff, 4);
      put(&file, "WAVEds64");
      put_little(&file, 28, 4);
      put_little(&file, size + 72, 8);
      put_little(&file, size, 8);
      put_little(&file, size / 2, 8);
      put_little(&file, 0, 4);
      Bytes plain = wav16({8192, -8192});
      set_little_u32(&plain, 40, 0xffffffff);
      file.insert(file.end(), plain.begin() + 12, plain.end());
      CHECK((size == 4 ? parsed(file).samples : cut_short(file)) ==
            std::vector<float>{0.25f, -0.25f});
    }
}

TEST_CASE("a byte of padding may be missing") {
  Bytes file = first(wav16({}), 12);
  put(&file, "LIST");
  put_little(&file, 3, 4);
  put(&file, "abc");
  const Bytes plain = wav16({8192});
  file.insert(file.end(), plain.begin() + 12, plain.end());
  CHECK(parsed(file).samples == std::vector<float>{0.25f});
  const Bytes odd = wav({1, 1, 8, 16000, false}, numbers({128, 192, 0}, 1));
  CHECK(parsed(first(odd, odd.size() - 1)).samples == std::vector<float>{0, 0.5f, -1});
}

TEST_CASE("of a WAV that is cut short, the whole frames that are there are read") {
  const Bytes files[] = {wav16({1, 2, 3, 4, 5}),
                         wav({1, 2, 24, 16000, true}, numbers({1, 2, 3, 4}, 3)),
                         wav({1, 1, 8, 16000, false}, numbers({1, 2, 3, 4}, 1))};
  const size_t headers[] = {44, 68, 44}, frame_bytes[] = {2, 6, 1};
  for (size_t i = 0; i < 3; ++i) {
    const std::vector<float> whole = parsed(files[i]).samples;
    for (size_t length = 0; length < files[i].size(); ++length) {
      CAPTURE(length);
      const Bytes file = first(files[i], length);
      if (length < headers[i] + frame_bytes[i]) {
        CHECK(parse_error(file) != "");
        continue;
      }
      const auto frames = static_cast<ptrdiff_t>((length - headers[i]) / frame_bytes[i]);
      CHECK(cut_short(file) == std::vector<float>(whole.begin(), whole.begin() + frames));
    }
  }
}

TEST_CASE("no single damaged byte of a WAV crashes the reader") {
  const Bytes file = wav({1, 2, 16, 16000, true}, numbers({1, 2, 3, 4}, 2));
  for (size_t at = 0; at < file.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      Bytes damaged = file;
      damaged[at] = static_cast<std::byte>(value);
      Audio audio;
      WavHeader header;
      if (parse(damaged, &header, &audio)) CHECK(audio.samples.size() <= 8);
    }
  }
}

TEST_CASE("WAV errors say what is wrong") {
  CHECK(parse_error({}) ==
        "clip.wav: not a WAV file (no RIFF header); give WAV of PCM, float, A-law or mu-law");
  CHECK(contains(parse_error(wav16({})), "holds no sample"));
  CHECK(contains(parse_error(wav({2, 1, 16, 16000, false}, numbers({1}, 2))), "WAV format 2"));
  CHECK(contains(parse_error(wav({1, 1, 40, 16000, false}, numbers({1}, 5))), "40 bits"));
  CHECK(contains(parse_error(wav({1, 0, 16, 16000, false}, numbers({1}, 2))), "0 channels"));
  CHECK(contains(parse_error(wav({1, 1, 16, 0, false}, numbers({1}, 2))), "sample rate of 0 Hz"));
  CHECK(contains(parse_error(wav({1, 1, 16, -1, false}, numbers({1}, 2))), "4294967295 Hz"));
  Bytes nan;
  put_little(&nan, std::bit_cast<uint32_t>(0.5f), 4);
  put_little(&nan, std::bit_cast<uint32_t>(std::numeric_limits<float>::quiet_NaN()), 4);
  CHECK(contains(parse_error(wav({3, 1, 32, 16000, false}, nan)), "sample 1 is NaN"));
}

TEST_CASE("of a data chunk that claims more than the file holds, what is there is read") {
  for (const uint32_t size : {7u, 22u, 0x7fffefffu}) {
    Bytes file = wav16({8192, -8192, 0});
    set_little_u32(&file, 40, size);
    CHECK(cut_short(file) == std::vector<float>{0.25f, -0.25f, 0});
  }
}

TEST_CASE("frames larger than their samples are refused, and smaller ones a writer's mistake") {
  Bytes file = wav16({8192, -8192});
  file[32] = std::byte{1};
  CHECK(parsed(file).samples == std::vector<float>{0.25f, -0.25f});
  file[32] = std::byte{4};
  CHECK(contains(parse_error(file), "frames of 4 bytes"));
}

}  // namespace
}  // namespace attune::test
