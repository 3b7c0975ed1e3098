#pragma once

#include <doctest/doctest.h>
#include <sys/resource.h>

namespace attune::test {

// What a process may take; a test that broke it before took many times as much.
class Limit {
 public:
  Limit(decltype(RLIMIT_CPU) resource, rlim_t most) : resource_(resource) {
    REQUIRE(getrlimit(resource, &before_) == 0);
    rlimit less = before_;
    less.rlim_cur = most;
    REQUIRE(setrlimit(resource, &less) == 0);
  }
  ~Limit() { setrlimit(resource_, &before_); }

 private:
  decltype(RLIMIT_CPU) resource_;
  rlimit before_;
};
inline constexpr rlim_t kSeconds = 120;  // of a processor

}  // namespace attune::test
