#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "attune/checkpoint.h"
#include "tests/training/checkpoint_files.h"
#include "tests/training/tiny_plan.h"

namespace attune {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string error_of(const Status& status) { return status ? "" : status.message(); }

CheckpointInfo at_step(int64_t step) {
  CheckpointInfo info;
  info.progress.step = step;
  return info;
}

// Every trained number is `value`.
void fill(Tiny& tiny, float value) {
  auto* state = reinterpret_cast<float*>(tiny.session().state().data());
  std::fill(state, state + tiny.session().state().size() / sizeof(float), value);
}

}  // namespace

TEST_CASE("a file that is not ours is never replaced") {
  TemporaryFolder folder;
  Tiny tiny;
  for (const std::string& content : {std::string("my thesis"), std::string(), std::string(900, 'z'),
                                     std::string("ATTUNEPL and a plan")}) {
    const std::string path = folder.path("mine");
    write_bytes(path, content);
    CHECK(contains(error_of(check_checkpoint_path(path.c_str(), tiny.plan())), "not a checkpoint"));
    CHECK(
        contains(error_of(save_checkpoint(path.c_str(), tiny.session(), {})), "not a checkpoint"));
    CHECK(read_bytes(path) == content);
  }
  CHECK(folder.files() == 1);
}

TEST_CASE("a checkpoint of another model is never replaced, one of the same is") {
  TemporaryFolder folder;
  TinyOptions options;
  options.signature = 78;
  Tiny tiny, other(options);
  const std::string path = folder.path("a.atc");
  CHECK(save_checkpoint(path.c_str(), other.session(), {}));
  const std::string before = read_bytes(path);
  CHECK(contains(error_of(check_checkpoint_path(path.c_str(), tiny.plan())), "another model"));
  CHECK(contains(error_of(save_checkpoint(path.c_str(), tiny.session(), {})), "another model"));
  CHECK(read_bytes(path) == before);
  fill(other, 3);
  CHECK(check_checkpoint_path(path.c_str(), other.plan()));
  CHECK(save_checkpoint(path.c_str(), other.session(), {}));
  CHECK(read_bytes(path) != before);
  CHECK(folder.files() == 1);
}

TEST_CASE("a path that cannot be written is found out beforehand") {
  TemporaryFolder folder;
  Tiny tiny;
  const auto both_fail = [&](const std::string& path, const char* reason) {
    CAPTURE(path);
    CHECK(contains(error_of(check_checkpoint_path(path.c_str(), tiny.plan())), reason));
    CHECK(contains(error_of(save_checkpoint(path.c_str(), tiny.session(), {})), reason));
  };
  both_fail("", "empty");
  both_fail(folder.path("none/a.atc"), "cannot be created");
  both_fail(folder.path(""), "not a regular file");
  both_fail("/dev/full", "not a regular file");
  both_fail(folder.path(std::string(300, 'n')), "name too long");
  both_fail(std::string(5000, 'n'), "too long");
  CHECK(symlink("/nowhere/at/all", folder.path("dangling").c_str()) == 0);
  both_fail(folder.path("dangling"), "leads nowhere");
  CHECK(mkfifo(folder.path("pipe").c_str(), 0600) == 0);
  both_fail(folder.path("pipe"), "not a regular file");
  CHECK(check_checkpoint_path(folder.path("new.atc").c_str(), tiny.plan()));
  CHECK(folder.files() == 2);  // the check leaves nothing behind
}

TEST_CASE("a link stays a link, and permissions stay as they were") {
  TemporaryFolder folder;
  Tiny tiny;
  const std::string real = folder.path("real.atc"), link = folder.path("link.atc");
  CHECK(save_checkpoint(real.c_str(), tiny.session(), at_step(1)));
  CHECK(chmod(real.c_str(), 0640) == 0);
  CHECK(symlink(real.c_str(), link.c_str()) == 0);
  CHECK(save_checkpoint(link.c_str(), tiny.session(), at_step(2)));
  CHECK(std::filesystem::is_symlink(link));
  struct stat info;
  REQUIRE(stat(real.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0640);
  CheckpointInfo read;
  CHECK(load_checkpoint(real.c_str(), tiny.session(), &read));
  CHECK(read.progress.step == 2);
}

TEST_CASE("a name without a folder is written to the current one") {
  TemporaryFolder folder;
  Tiny tiny;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path(""));
  const Status saved = save_checkpoint("here.atc", tiny.session(), at_step(3));
  std::filesystem::current_path(before);
  CHECK_MESSAGE(saved.is_ok(), saved.message());
  CHECK(std::filesystem::exists(folder.path("here.atc")));
}

TEST_CASE("a full disk is an error, keeps the old file and leaves no other") {
  TemporaryFolder folder;
  Tiny tiny;
  const std::string path = folder.path("a.atc");
  fill(tiny, 1);
  CHECK(save_checkpoint(path.c_str(), tiny.session(), at_step(1)));
  const std::string before = read_bytes(path);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // A file may grow to this size and no further, which write reports as it does a full disk.
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {before.size() - 100, before.size() - 100};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(2);
    fill(tiny, 2);
    const Status status = save_checkpoint(path.c_str(), tiny.session(), at_step(2));
    _exit(!status && strstr(status.message(), "what was there is unchanged") ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(read_bytes(path) == before);
  CHECK(folder.files() == 1);
}

TEST_CASE("a process killed at any moment leaves a whole checkpoint") {
  TemporaryFolder folder;
  Tiny tiny;
  const std::string path = folder.path("a.atc");
  fill(tiny, 0);
  REQUIRE(save_checkpoint(path.c_str(), tiny.session(), at_step(0)));
  int64_t last = 0;
  for (int round = 0; round < 40; ++round) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (int64_t step = last + 1;; ++step) {
        fill(tiny, static_cast<float>(step));
        if (!save_checkpoint(path.c_str(), tiny.session(), at_step(step))) _exit(1);
      }
    }
    usleep(static_cast<useconds_t>(500 + round * 397));
    kill(child, SIGKILL);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CheckpointInfo info;
    const Status loaded = load_checkpoint(path.c_str(), tiny.session(), &info);
    REQUIRE_MESSAGE(loaded.is_ok(), loaded.message());
    CHECK(info.progress.step >= last);
    last = info.progress.step;
    const auto* state = reinterpret_cast<const float*>(tiny.session().state().data());
    for (int i = 0; i < 12; ++i) CHECK(state[i] == static_cast<float>(last));
  }
  CHECK(last > 0);
}

TEST_CASE("signals in the middle of writing do no harm") {
  TemporaryFolder folder;
  Tiny tiny;
  struct sigaction action = {}, before;
  action.sa_handler = [](int) {};  // without SA_RESTART: calls are interrupted
  REQUIRE(sigaction(SIGALRM, &action, &before) == 0);
  const itimerval often = {{0, 200}, {0, 200}}, never = {};
  REQUIRE(setitimer(ITIMER_REAL, &often, nullptr) == 0);
  const std::string path = folder.path("a.atc");
  Status worst;
  for (int64_t step = 1; step <= 50 && worst; ++step) {
    worst = save_checkpoint(path.c_str(), tiny.session(), at_step(step));
    CheckpointInfo info;
    if (worst) worst = load_checkpoint(path.c_str(), tiny.session(), &info);
    if (worst && info.progress.step != step) worst = Status::error("an old checkpoint");
  }
  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &before, nullptr);
  CHECK_MESSAGE(worst.is_ok(), worst.message());
}

}  // namespace attune
