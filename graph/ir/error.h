#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "attune/status.h"

namespace attune {

// The one exception of the host side: a line that says what is wrong, where, and what to do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// throw_error("{}: batch size {} is not positive", path, n)
template <class... Args>
[[noreturn]] void throw_error(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

inline void throw_if_error(const Status& status) {
  if (!status) throw Error(status.message());
}

}  // namespace attune
