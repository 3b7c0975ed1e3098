// A classifier that PyTorch trains and exports learns a second task: by the command, and in
// PyTorch.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace attune::test {

void check_second_task(const std::string& kind) {
  const std::string python = "/usr/bin/python3";
  if (std::system((python + " -c 'import torch, numpy' 2>/dev/null").c_str()) != 0) {
    MESSAGE("skipped: /usr/bin/python3 has no torch");
    return;
  }
  std::string folder =
      (std::filesystem::temp_directory_path() / "attune_second_task.XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  const std::string command = python + " " ATTUNE_SOURCE_DIR "/tests/real_data/second_task.py " +
                              kind + " " + folder + " " ATTUNE_COMMAND;
  std::FILE* out = ::popen(command.c_str(), "r");
  REQUIRE(out != nullptr);
  double before = 0, theirs = 0, ours = 0;
  CHECK(std::fscanf(out, "%lf %lf %lf", &before, &theirs, &ours) == 3);
  CHECK(::pclose(out) == 0);
  std::filesystem::remove_all(folder);
  std::printf("second task of a %s: %.1f %% before, PyTorch %.1f %%, Attune %.1f %%\n",
              kind.c_str(), before, theirs, ours);
  CHECK(before < theirs - 20);
  CHECK(ours > theirs - 1);
}

TEST_CASE("a GRU learns a second task as well as in PyTorch") { check_second_task("gru"); }

TEST_CASE("a small BERT learns a second task as well as in PyTorch") { check_second_task("bert"); }

}  // namespace attune::test
