#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <sstream>

#include "tests/cli/command.h"
#include "tests/support/files.h"

namespace attune::test {
namespace {

// The status of a shell's command in the workshop's folder; `attune` is the command there.
int shell(const Workshop& shop, const std::string& command) {
  const int status = std::system(
      ("cd " + shop.path("") + " && attune() { " ATTUNE_COMMAND " \"$@\"; }; " + command).c_str());
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("with any of the standard streams closed, no file takes their place") {
  Workshop shop;
  shop.compile();
  REQUIRE(shop.run("train net.att --data data.npz --epochs 2 --quiet --checkpoint a.atc").status ==
          0);
  const std::string right = shop.read("a.atc");
  for (const char* closed :
       {"<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"}) {
    CAPTURE(closed);
    const int status = shell(shop,
                             "attune train net.att --data data.npz --epochs 2 --overwrite "
                             "--checkpoint a.atc --log a.jsonl </dev/null >out.txt 2>err.txt " +
                                 std::string(closed));
    // What was trained is there, and only its result, which nobody can read, is an error.
    CHECK(status == (contains(closed, " >&-") || closed[0] == '>' ? 2 : 0));
    CHECK(shop.read("a.atc") == right);
    std::istringstream log(shop.read("a.jsonl"));
    for (std::string line; std::getline(log, line);) CHECK(line.starts_with('{'));
  }
}

TEST_CASE("an error without standard error has its status") {
  Workshop shop;
  CHECK(shell(shop, "attune predict nothing x 2>&-") == 2);
  CHECK(shell(shop, "attune predict nothing x 2>/dev/full") == 2);
  CHECK(shell(shop, "attune predict nothing x <&- >&- 2>&-") == 2);
}

TEST_CASE("standard output that is full is an error, whatever was printed") {
  Workshop shop;
  shop.compile();
  for (const std::string command :
       {"--help", "--version", "train --help", "inspect net.att", "inspect net.att --json",
        "compile net.onnx -o b.att --scheme head", "predict net.att one.npy",
        "evaluate net.att --data data.npz",
        "train net.att --data data.npz --epochs 1 --overwrite"}) {
    CAPTURE(command);
    CHECK(shell(shop, "attune " + command + " >/dev/full 2>err.txt") == 2);
    CHECK(contains(shop.read("err.txt"), "attune: standard output cannot be written: "));
  }
}

}  // namespace attune::test
