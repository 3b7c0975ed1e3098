#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cli/command.h"
#include "tests/support/files.h"

namespace attune::test {
namespace {

constexpr const char* kLongRun =
    "train net.att --data data.npz --quiet --epochs 1000000 --checkpoint a.atc --log a.jsonl "
    "--overwrite";

}  // namespace

TEST_CASE("a terminal that goes away saves the run, as often as it says so") {
  Workshop shop;
  shop.compile();
  for (const std::vector<int>& signals : {std::vector{SIGHUP},
                                          {SIGHUP, SIGHUP, SIGHUP},
                                          {SIGTERM, SIGHUP},
                                          {SIGHUP, SIGTERM},
                                          {SIGPIPE}}) {
    shop.write("a.jsonl", "");
    const pid_t child = shop.start(kLongRun);
    shop.await_lines(child, "a.jsonl", 150);
    for (const int number : signals) kill(child, number);
    const auto result = shop.wait(child);
    CHECK(result.status == 130);
    CHECK(contains(result.error, "attune: interrupted after step "));
    CHECK(shop.run("evaluate net.att --data data.npz --checkpoint a.atc").status == 0);
  }
}

TEST_CASE("nohup keeps a run going") {
  Workshop shop;
  shop.compile();
  struct sigaction ignore = {}, before = {};
  ignore.sa_handler = SIG_IGN;
  REQUIRE(sigaction(SIGHUP, &ignore, &before) == 0);
  const pid_t child = shop.start(kLongRun);
  sigaction(SIGHUP, &before, nullptr);
  shop.await_lines(child, "a.jsonl", 100);
  kill(child, SIGHUP);
  shop.await_lines(child, "a.jsonl", count_lines(shop.read("a.jsonl")) + 200);
  kill(child, SIGTERM);
  CHECK(shop.wait(child).status == 130);
  CHECK(contains(shop.read("a.jsonl"), "\"interrupted\""));
}

TEST_CASE("a reader of the progress that goes away saves the run") {
  Workshop shop;
  shop.compile();
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    signal(SIGPIPE, SIG_DFL);
    dup2(ends[1], 2);
    if (chdir(shop.path("").c_str()) != 0) _exit(99);
    execl(ATTUNE_COMMAND, "attune", "train", "net.att", "--data", "data.npz", "--epochs", "1000000",
          "--checkpoint", "a.atc", nullptr);
    _exit(99);
  }
  close(ends[1]);
  char byte;
  CHECK(read(ends[0], &byte, 1) == 1);
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 130));
  CHECK(shop.run("evaluate net.att --data data.npz --checkpoint a.atc").status == 0);
}

}  // namespace attune::test
