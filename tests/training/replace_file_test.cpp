#include "engine/platform/posix/replace_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstring>

#include "attune/checkpoint.h"
#include "tests/training/checkpoint_files.h"
#include "tests/training/tiny_plan.h"

namespace attune {
namespace {

void replace(const std::string& path, const std::string& text, bool keep_old = false) {
  FileReplacement file;
  Status status = file.open(path.c_str());
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  CHECK(file.begin(text.size()));
  CHECK(file.write(text.data(), text.size()));
  status = file.commit(keep_old);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
}

std::string error_of(const std::string& path, uint64_t bytes = 0) {
  FileReplacement file;
  Status status = file.open(path.c_str());
  if (status && !file.begin(bytes)) status = file.commit();
  return status ? "" : status.message();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

mode_t mode_of(const std::string& path) {
  struct stat info;
  REQUIRE(stat(path.c_str(), &info) == 0);
  return info.st_mode & 0777;
}

CheckpointInfo at_step(int64_t step) {
  CheckpointInfo info;
  info.progress.step = step;
  return info;
}

int64_t step_in(const std::string& path, Tiny& tiny) {
  CheckpointInfo info;
  const Status status = load_checkpoint(path.c_str(), tiny.session(), &info);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  return info.progress.step;
}

}  // namespace

TEST_CASE("what is not committed never was") {
  TemporaryFolder folder;
  const std::string path = folder.path("a");
  replace(path, "old");
  {
    FileReplacement file;
    REQUIRE(file.open(path.c_str()));
    file.write("new", 3);
    CHECK(folder.files() == 2);
  }
  CHECK(read_bytes(path) == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("several that replace one file at once have a temporary each") {
  TemporaryFolder folder;
  const std::string path = folder.path("a");
  FileReplacement first, second;
  REQUIRE(first.open(path.c_str()));
  REQUIRE(second.open(path.c_str()));
  CHECK(folder.files() == 2);
  second.write("two", 3);
  first.write("one", 3);
  CHECK(second.commit());
  CHECK(read_bytes(path) == "two");
  CHECK(first.commit());
  CHECK(read_bytes(path) == "one");
  CHECK(folder.files() == 1);
}

TEST_CASE("what a killed process has left goes with the next replacement") {
  TemporaryFolder folder;
  const std::string path = folder.path("a");
  for (int round = 0; round < 3; ++round) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      FileReplacement file;
      if (!file.open(path.c_str()) || !file.begin(1 << 20)) _exit(1);
      _exit(0);  // no destructor runs
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(status == 0);
    CHECK(std::filesystem::exists(folder.path("a.attune-tmp-0")));
    CHECK(std::filesystem::exists(path) == (round > 0));
    if (round == 1) continue;  // two kills leave no more than one
    replace(path, "new");
    CHECK(folder.files() == 1);
  }
}

TEST_CASE("a signal's handler can take temporaries away") {
  TemporaryFolder folder;
  const std::string a_path = folder.path("a"), b_path = folder.path("b");  // outlive these
  FileReplacement a, b;
  REQUIRE(a.open(a_path.c_str()));
  REQUIRE(b.open(b_path.c_str()));
  CHECK(folder.files() == 2);
  remove_temporaries();
  CHECK(folder.files() == 0);
  CHECK(!a.commit());
  remove_temporaries();
}

TEST_CASE(
    "a new file has the mode of the umask, an old one keeps its own, one without rights stays") {
  TemporaryFolder folder;
  const std::string path = folder.path("a");
  const mode_t before = umask(027);
  replace(path, "new");
  umask(before);
  CHECK(mode_of(path) == 0640);
  for (const mode_t mode : {0600, 0664, 0755}) {
    REQUIRE(chmod(path.c_str(), mode) == 0);
    replace(path, "newer");
    CHECK(mode_of(path) == mode);
  }
  if (geteuid() == 0) return;  // root may write everything
  REQUIRE(chmod(path.c_str(), 0444) == 0);
  CHECK(contains(error_of(path), "must not be written: Permission denied"));
}

TEST_CASE("what does not fit is known before anything is written") {
  TemporaryFolder folder;
  const std::string path = folder.path("a");
  CHECK(contains(error_of(path, uint64_t{1} << 60), path + ": cannot be written: "));
  replace(path, "old");
  CHECK(contains(error_of(path, uint64_t{1} << 60), "what was there is unchanged"));
  CHECK(read_bytes(path) == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("names as long as they may be are replaced, also within a character") {
  TemporaryFolder folder;
  std::string wide;
  while (wide.size() < 250) wide += "\u00e9";
  for (const std::string& name : {std::string(255, 'n'), wide, "n" + wide}) {
    replace(folder.path(name), "old");
    replace(folder.path(name), "new");
    CHECK(read_bytes(folder.path(name)) == "new");
  }
  CHECK(folder.files() == 3);
  CHECK(contains(error_of(folder.path(std::string(256, 'n'))), "name too long"));
}

TEST_CASE("the old file stays, whatever was kept before") {
  TemporaryFolder folder;
  const std::string path = folder.path("a");
  replace(path, "one", true);
  CHECK(folder.files() == 1);  // nothing was there
  replace(path, "two", true);
  CHECK(read_bytes(path + ".old") == "one");
  replace(path, "three", true);
  CHECK(read_bytes(path + ".old") == "two");
  replace(path, "four");
  CHECK(read_bytes(path + ".old") == "two");
  // As a kill just before the new one took its name would leave it.
  std::filesystem::remove(path + ".old");
  std::filesystem::create_hard_link(path, path + ".old");
  replace(path, "five", true);
  CHECK(read_bytes(path + ".old") == "four");
  CHECK(read_bytes(path) == "five");
  CHECK(folder.files() == 2);
}

TEST_CASE("a checkpoint of another run stays as .old, in place of no other file") {
  TemporaryFolder folder;
  Tiny tiny;
  const std::string path = folder.path("a.atc"), old = path + ".old";
  const auto save = [&](int64_t step, Replace replace) {
    return save_checkpoint(path.c_str(), tiny.session(), at_step(step), {}, replace);
  };
  CHECK(save(1, Replace::any_checkpoint));
  CHECK(folder.files() == 1);
  CHECK(save(2, Replace::any_checkpoint));
  CHECK(step_in(old, tiny) == 1);
  CHECK(save(3, Replace::same_plan));
  CHECK(step_in(old, tiny) == 1);
  CHECK(save(4, Replace::any_checkpoint));
  CHECK(step_in(old, tiny) == 3);
  write_bytes(old, "my notes");
  for (const Status& status :
       {check_checkpoint_path(path.c_str(), tiny.plan(), Replace::any_checkpoint),
        save(5, Replace::any_checkpoint)})
    CHECK(contains(status ? "" : status.message(), "a.atc.old: exists and is not a checkpoint"));
  CHECK(step_in(path, tiny) == 4);
  CHECK(read_bytes(old) == "my notes");
  CHECK(folder.files() == 2);
}

}  // namespace attune
