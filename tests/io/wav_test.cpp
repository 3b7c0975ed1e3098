#include "engine/io/wav.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "tests/support/files.h"

namespace attune::test {
namespace {

Audio parsed(const Bytes& file) {
  Audio audio;
  const Status status = parse_wav("clip.wav", file, &audio);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  return audio;
}

std::string parse_error(const Bytes& file) {
  Audio audio;
  return parse_wav("clip.wav", file, &audio).message();
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

TEST_CASE("sizes that a pipe left unknown reach to the end of the file") {
  Bytes file = wav16({8192, -8192});
  for (const size_t at : {size_t{4}, size_t{40}})
    for (size_t i = 0; i < 4; ++i) file[at + i] = std::byte{0xff};
  CHECK(parsed(file).samples == std::vector<float>{0.25f, -0.25f});
}

TEST_CASE("a WAV cut at any length is an error") {
  const Bytes files[] = {wav16({1, 2, 3, 4, 5}), wav({1, 2, 24, 16000, true}, numbers({1, 2}, 3)),
                         wav({1, 1, 8, 16000, false}, numbers({1, 2, 3}, 1))};
  for (const Bytes& file : files) {
    CHECK(parse_error(file) == "");
    for (size_t length = 0; length < file.size(); ++length) {
      CAPTURE(length);
      CHECK(parse_error(first(file, length)) != "");
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
      if (parse_wav("clip.wav", damaged, &audio)) CHECK(audio.samples.size() <= 8);
    }
  }
}

TEST_CASE("WAV errors say what is wrong") {
  CHECK(parse_error({}) ==
        "clip.wav: not a WAV file (no RIFF header); give 8-32 bit PCM or float WAV");
  CHECK(contains(parse_error(wav16({})), "holds no sample"));
  CHECK(contains(parse_error(wav({2, 1, 16, 16000, false}, numbers({1}, 2))), "WAV format 2"));
  CHECK(contains(parse_error(wav({1, 1, 12, 16000, false}, numbers({1}, 2))), "12 bits"));
  CHECK(contains(parse_error(wav({1, 0, 16, 16000, false}, numbers({1}, 2))), "0 channels"));
  CHECK(contains(parse_error(wav({1, 1, 16, 0, false}, numbers({1}, 2))), "sample rate of 0 Hz"));
  CHECK(contains(parse_error(wav({1, 1, 16, -1, false}, numbers({1}, 2))), "4294967295 Hz"));
  Bytes nan;
  put_little(&nan, std::bit_cast<uint32_t>(0.5f), 4);
  put_little(&nan, std::bit_cast<uint32_t>(std::numeric_limits<float>::quiet_NaN()), 4);
  CHECK(contains(parse_error(wav({3, 1, 32, 16000, false}, nan)), "sample 1 is NaN"));
}

TEST_CASE("a data chunk that claims more than the file holds is an error") {
  Bytes file = wav16({1, 2, 3});
  for (const uint32_t size : {7u, 0x7fffffffu, 0xfffffffeu, 0xffffffffu}) {
    for (int i = 0; i < 4; ++i)
      file[40 + static_cast<size_t>(i)] = static_cast<std::byte>(size >> (8 * i));
    CHECK(contains(parse_error(file), "where 6 are left"));
  }
}

TEST_CASE("resampling interpolates linearly and repeats the last sample") {
  const std::vector<float> in{0, 1, 0.5f};
  CHECK(resample_linear(in, 8000, 16000, 100) == std::vector<float>{0, 0.5f, 1, 0.75f, 0.5f, 0.5f});
  CHECK(resample_linear(in, 16000, 8000, 100) == std::vector<float>{0, 0.5f});
  CHECK(resample_linear(in, 16000, 16000, 100) == in);
  CHECK(resample_linear(in, 8000, 16000, 3) == std::vector<float>{0, 0.5f, 1});
  CHECK(resample_linear({}, 8000, 16000, 3).empty());
  const std::vector<float> one{0.5f};
  CHECK(resample_linear(one, 44100, 16000, 3) == one);
  CHECK(resample_linear(one, 1, 1 << 20, 4) == std::vector<float>(4, 0.5f));
}

TEST_CASE("resampling by a ratio that is no whole number lands between the samples") {
  const std::vector<float> in{0, 3, 6, 9};
  const std::vector<float> out = resample_linear(in, 3, 2, 100);  // at 0 and 1.5 and 3
  REQUIRE(out.size() == 3);
  CHECK(out == std::vector<float>{0, 4.5f, 9});
}

}  // namespace
}  // namespace attune::test
