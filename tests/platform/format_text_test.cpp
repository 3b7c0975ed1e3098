#include "engine/platform/none/format_text.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <string>

// The messages of devices whose C library is not to be trusted with them, against this one's.
namespace attune {
namespace {

__attribute__((format(printf, 2, 3))) std::string ours(size_t room, const char* format, ...) {
  std::string text(room + 1, '#');
  va_list arguments;
  va_start(arguments, format);
  format_text(text.data(), room, format, arguments);
  va_end(arguments);
  CHECK(text[room] == '#');
  return room == 0 ? "" : text.c_str();
}

template <class... T>
void same(const char* format, T... arguments) {
  char expected[512];
  for (size_t room : {512, 20, 5, 1}) {
    std::snprintf(expected, room, format, arguments...);
    CHECK(ours(room, format, arguments...) == expected);
  }
}

TEST_CASE("messages without a C library are what printf makes of them") {
  same("no arguments, 100 %% sure");
  same("%s: %s", "plan.att", "");
  same("%.*s and %.3s and %.100s", 4, "abcdefgh", "abcdefgh", "abcdefgh");
  same("%d %d %d %d", 0, -1, std::numeric_limits<int>::min(), std::numeric_limits<int>::max());
  same("%lld %lld, then %s", std::numeric_limits<long long>::min(), 7ll, "a text");
  same("%llu %lu %u %zu, then %s", std::numeric_limits<unsigned long long>::max(), 12ul, 13u,
       size_t{1} << 40, "a text");
  same("%ld %zd %x %c", -5l, ptrdiff_t{-6}, 0xbeefu, 'c');
  CHECK(ours(0, "%d", 1).empty());
}

TEST_CASE("numbers without a C library have the six digits of %g") {
  for (double x : {0.0,      -0.0,       1.0,      -1.0,  10.0,   0.5,   1e5,           1e6,
                   123456.0, 1234567.0,  999999.5, 0.1,   1e-4,   1e-5,  0.00012345678, 9.9999996,
                   99999.96, 0.99999995, 2.5e-7,   1e100, 1e-100, 1e300, 5e-324,        1e-310})
    same("%g, then %s", x, "a text");
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  same("%g %g", kInfinite, -kInfinite);
  CHECK(ours(99, "%g", std::nan("")) == "nan");
  std::mt19937 random(1);
  std::uniform_real_distribution<double> exponent(-30, 30);
  for (int i = 0; i < 20000; ++i) same("%g", std::pow(10, exponent(random)));
}

}  // namespace
}  // namespace attune
