#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
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

TEST_CASE("a SIGPIPE of others saves the run, also while the log is written") {
  Workshop shop;
  shop.compile();
  const std::string log = shop.path("log");
  REQUIRE(mkfifo(log.c_str(), 0600) == 0);
  const int reader = ::open(log.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(reader >= 0);
  const pid_t child = shop.start(
      "train net.att --data data.npz --quiet --steps 20000 --checkpoint a.atc --log log");
  // Once the pipe is full, the run waits in writing to it.
  int held = 0, before = -1;
  for (int i = 0; i < 1000 && (held == 0 || held != before); ++i) {
    before = held;
    usleep(50'000);
    REQUIRE(ioctl(reader, FIONREAD, &held) == 0);
  }
  kill(child, SIGPIPE);
  char bytes[65536];
  for (ssize_t count = 1; count != 0;) {
    count = ::read(reader, bytes, sizeof(bytes));
    if (count < 0) usleep(1000);
  }
  close(reader);
  const auto result = shop.wait(child);
  CHECK(result.status == 130);
  CHECK(contains(result.error, "attune: interrupted after step "));
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
