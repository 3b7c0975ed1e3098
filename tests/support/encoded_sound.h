#pragma once

#ifdef ATTUNE_SNDFILE
#include <doctest/doctest.h>
#include <sndfile.h>

#include <algorithm>
#include <vector>

#include "tests/support/files.h"

namespace attune::test {

// A sound as libsndfile writes it.
inline Bytes encoded(int format, int channels, int rate, const std::vector<float>& samples) {
  struct Memory {
    Bytes bytes;
    sf_count_t at = 0;
  } memory;
  SF_VIRTUAL_IO io{
      [](void* user) -> sf_count_t { return std::ssize(static_cast<Memory*>(user)->bytes); },
      [](sf_count_t offset, int whence, void* user) -> sf_count_t {
        auto* m = static_cast<Memory*>(user);
        return m->at = offset + (whence == SEEK_SET   ? 0
                                 : whence == SEEK_CUR ? m->at
                                                      : std::ssize(m->bytes));
      },
      [](void*, sf_count_t, void*) -> sf_count_t { return 0; },
      [](const void* from, sf_count_t count, void* user) -> sf_count_t {
        auto* m = static_cast<Memory*>(user);
        const auto end = static_cast<size_t>(m->at + count);
        if (end > m->bytes.size()) m->bytes.resize(end);
        std::copy_n(static_cast<const std::byte*>(from), count, m->bytes.begin() + m->at);
        m->at += count;
        return count;
      },
      [](void* user) -> sf_count_t { return static_cast<Memory*>(user)->at; }};
  SF_INFO info{};
  info.samplerate = rate, info.channels = channels, info.format = format;
  SNDFILE* file = sf_open_virtual(&io, SFM_WRITE, &info, &memory);
  REQUIRE_MESSAGE(file, sf_strerror(nullptr));
  CHECK(sf_write_float(file, samples.data(), std::ssize(samples)) == std::ssize(samples));
  sf_close(file);
  return memory.bytes;
}

}  // namespace attune::test

#endif
