#include <doctest/doctest.h>
#include <sys/resource.h>

#include "tests/cli/command.h"

namespace attune::test {
namespace {

// Stacks that no address space has room for: while it lives, programs start but their threads do
// not.
class NoThreads {
 public:
  NoThreads() {
    getrlimit(RLIMIT_STACK, &before_);
    rlimit limit = before_;
    limit.rlim_cur = rlim_t{1} << 47;
    possible = sizeof(void*) == 8 && setrlimit(RLIMIT_STACK, &limit) == 0;
  }
  ~NoThreads() { setrlimit(RLIMIT_STACK, &before_); }
  bool possible = false;

 private:
  rlimit before_;
};

}  // namespace

TEST_CASE("threads that cannot be made are an error, and one thread needs none") {
  Workshop shop;
  shop.compile();
  const NoThreads none;
  if (!none.possible) {
    MESSAGE("skipped: the limit of a stack cannot be raised here");
    return;
  }
  const std::string reason = "the system does not give 3 threads; ask for fewer";
  for (const char* command :
       {"predict net.att one.npy --threads 3", "evaluate net.att --data data.npz --threads 3",
        "train net.att --data data.npz --epochs 1 --threads 3", "bench net.att --threads 3",
        "profile net.att -o t.json --threads 3 -q"})
    check_refused(shop.run(command), reason);
  const auto searched =
      shop.run("sensitivity net.onnx --data data.npz --estimator measured --steps 2 --jobs 3 -q");
  check_refused(searched, reason);
  CHECK(shop.run("predict net.att one.npy --threads 1").status == 0);
}

}  // namespace attune::test
