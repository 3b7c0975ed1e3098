#include "engine/platform/none/format_text.h"

#include <cmath>
#include <cstdint>

namespace attune {
namespace {

// Text that is cut where there is no more room.
struct Text {
  char* to;
  char* const last;  // the terminating zero's, at the latest

  void put(char c) {
    if (to < last) *to++ = c;
  }
  void put(const char* text, int most) {
    for (; most != 0 && *text; --most) put(*text++);
  }
  void put(uint64_t number, unsigned base = 10) {
    char digits[20];
    int count = 0;
    do digits[count++] = "0123456789abcdef"[number % base];
    while (number /= base);
    while (count > 0) put(digits[--count]);
  }
  void put(int64_t number) {
    if (number < 0) put('-');
    put(number < 0 ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number));
  }
  void put(double number);
};

// As %g: six digits, without zeros behind them, and an exponent below -4 and above 5.
void Text::put(double number) {
  if (std::signbit(number)) put('-');
  number = std::fabs(number);
  if (std::isnan(number)) return put("nan", -1);
  if (std::isinf(number)) return put("inf", -1);
  constexpr int kDigits = 6;
  int exponent = 0;
  double power = 1;  // exact up to 22
  if (number > 0 && number < 1e-300) number *= 1e20, exponent = -20;
  const int begin = exponent;
  for (; number / power >= 10; power *= 10) ++exponent;
  for (; number > 0 && number * power < 1; power *= 10) --exponent;
  const double scaled = exponent < begin        ? number * power * 1e5
                        : exponent - begin > 22 ? number / power * 1e5
                                                : number * 1e5 / power;
  auto whole = static_cast<uint32_t>(std::nearbyint(scaled));
  if (whole == 1000000) whole = 100000, ++exponent;
  char digits[kDigits];
  int count = kDigits;
  for (int i = kDigits - 1; i >= 0; --i, whole /= 10)
    digits[i] = static_cast<char>('0' + whole % 10);
  while (count > 1 && digits[count - 1] == '0') --count;

  const bool fixed = exponent >= -4 && exponent < kDigits;
  const int before = !fixed ? 1 : exponent < 0 ? 0 : exponent + 1;  // digits before the point
  if (before == 0) put('0');
  for (int i = 0; i < before; ++i) put(i < count ? digits[i] : '0');
  if (count > before) {
    put('.');
    for (int i = exponent + 1; fixed && i < 0; ++i) put('0');
    for (int i = before; i < count; ++i) put(digits[i]);
  }
  if (fixed) return;
  put('e');
  put(exponent < 0 ? '-' : '+');
  const int size = exponent < 0 ? -exponent : exponent;
  if (size < 10) put('0');
  put(int64_t{size});
}

}  // namespace

void format_text(char* to, size_t bytes, const char* format, va_list arguments) {
  if (bytes == 0) return;
  Text text{to, to + bytes - 1};
  for (; *format; ++format) {
    if (*format != '%') {
      text.put(*format);
      continue;
    }
    int most = -1;
    if (*++format == '.') {
      if (*++format == '*') {
        most = va_arg(arguments, int);
        ++format;
      } else {
        for (most = 0; *format >= '0' && *format <= '9'; ++format) most = 10 * most + *format - '0';
      }
    }
    int longs = 0;
    bool is_size = false;
    for (; *format == 'l'; ++format) ++longs;
    if (*format == 'z') is_size = true, ++format;
    const char kind = *format;
    if (kind == 's') {
      const char* string = va_arg(arguments, const char*);
      text.put(string ? string : "(null)", most);
    } else if (kind == 'c') {
      text.put(static_cast<char>(va_arg(arguments, int)));
    } else if (kind == 'd') {
      text.put(longs == 2   ? int64_t{va_arg(arguments, long long)}
               : longs == 1 ? int64_t{va_arg(arguments, long)}
               : is_size    ? int64_t{va_arg(arguments, ptrdiff_t)}
                            : int64_t{va_arg(arguments, int)});
    } else if (kind == 'u' || kind == 'x') {
      text.put(longs == 2   ? uint64_t{va_arg(arguments, unsigned long long)}
               : longs == 1 ? uint64_t{va_arg(arguments, unsigned long)}
               : is_size    ? uint64_t{va_arg(arguments, size_t)}
                            : uint64_t{va_arg(arguments, unsigned)},
               kind == 'x' ? 16 : 10);
    } else if (kind == 'g') {
      text.put(va_arg(arguments, double));
    } else if (kind == '%') {
      text.put('%');
    } else {
      break;
    }
  }
  *text.to = '\0';
}

}  // namespace attune
