#include "tests/cli/command.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/support/files.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {

namespace fs = std::filesystem;

namespace {

std::string as_text(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes npy(const std::string& type, const std::string& shape, const void* data, size_t size) {
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  Bytes bytes;
  put(&bytes, std::string("\x93NUMPY\x01\x00", 8));
  put_little(&bytes, header.size(), 2);
  put(&bytes, header);
  put(&bytes, {static_cast<const char*>(data), size});
  return bytes;
}

// A zip archive of stored files.
Bytes npz(const std::vector<std::pair<std::string, Bytes>>& arrays) {
  Bytes bytes, directory;
  for (const auto& [name, content] : arrays) {
    const size_t offset = bytes.size();
    const auto fields = [&](Bytes* to) {
      put_little(to, 0, 2);  // flags
      put_little(to, 0, 2);  // stored
      put_little(to, 0, 4);  // time
      put_little(to, crc32_of(content), 4);
      put_little(to, content.size(), 4);
      put_little(to, content.size(), 4);
      put_little(to, name.size(), 2);
      put_little(to, 0, 2);
    };
    put(&bytes, "PK\x03\x04");
    put_little(&bytes, 20, 2);
    fields(&bytes);
    put(&bytes, name);
    bytes.insert(bytes.end(), content.begin(), content.end());
    put(&directory, "PK\x01\x02");
    put_little(&directory, 20, 2);
    put_little(&directory, 20, 2);
    fields(&directory);
    put_little(&directory, 0, 10);  // comment, disk, attributes
    put_little(&directory, offset, 4);
    put(&directory, name);
  }
  const size_t start = bytes.size();
  bytes.insert(bytes.end(), directory.begin(), directory.end());
  put(&bytes, "PK\x05\x06");
  put_little(&bytes, 0, 4);
  put_little(&bytes, arrays.size(), 2);
  put_little(&bytes, arrays.size(), 2);
  put_little(&bytes, directory.size(), 4);
  put_little(&bytes, start, 4);
  put_little(&bytes, 0, 2);
  return bytes;
}

std::string model() {
  OnnxBuilder builder;
  builder.input("x", {-1, 4}).output("logits");
  builder.tensor("fc1.weight", {5, 4}, -0.3f, 0.037f).tensor("fc1.bias", {5}, 0.1f, 0.05f);
  builder.tensor("fc2.weight", {3, 5}, 0.4f, -0.057f).tensor("fc2.bias", {3}, 0.0f, 0.02f);
  set_int(builder.node("Gemm", {"x", "fc1.weight", "fc1.bias"}, {"hidden"}), "transB", 1);
  builder.node("Relu", {"hidden"}, {"active"});
  set_int(builder.node("Gemm", {"active", "fc2.weight", "fc2.bias"}, {"logits"}), "transB", 1);
  return builder.bytes();
}

constexpr int kExamples = 38;

}  // namespace

Workshop::Workshop() {
  const bool in_memory = access("/dev/shm", W_OK) == 0;
  folder_ = ((in_memory ? fs::path("/dev/shm") : fs::temp_directory_path()) / "attune-cli-XXXXXX")
                .string();
  REQUIRE(mkdtemp(folder_.data()) != nullptr);
  std::vector<float> x;
  std::vector<int64_t> y;
  for (int i = 0; i < kExamples; ++i) {
    const int label = i * 5 % 3;
    for (int k = 0; k < 4; ++k)
      x.push_back(static_cast<float>(std::sin(1.7 * i + k) * 0.4 + (k == label ? 1.5 : 0)));
    y.push_back(label);
  }
  const Bytes features = npy("<f4", "38, 4", x.data(), x.size() * 4);
  write("net.onnx", model());
  write("data.npz",
        as_text(npz({{"x.npy", features}, {"y.npy", npy("<i8", "38,", y.data(), y.size() * 8)}})));
  const int64_t first_and_last[] = {2, 0};
  write("no_ones.npz", as_text(npz({{"x.npy", npy("<f4", "2, 4", x.data(), 32)},
                                    {"y.npy", npy("<i8", "2,", first_and_last, 16)}})));
  write("unlabelled.npz", as_text(npz({{"x.npy", features}})));
  write("one.npy", as_text(npy("<f4", "2, 4", x.data(), 32)));
}

Workshop::~Workshop() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

std::string Workshop::read(const std::string& name) const {
  std::ifstream file(path(name), std::ios::binary);
  REQUIRE_MESSAGE(file.good(), name);
  return {std::istreambuf_iterator<char>(file), {}};
}

void Workshop::write(const std::string& name, const std::string& bytes) const {
  std::ofstream file(path(name), std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  REQUIRE(file.good());
}

bool Workshop::exists(const std::string& name) const { return fs::exists(path(name)); }
void Workshop::remove(const std::string& name) const { fs::remove(path(name)); }

std::vector<std::string> Workshop::files() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    if (name != ".out" && name != ".error") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

pid_t Workshop::start(const std::string& text) const {
  std::istringstream words(text);
  std::vector<std::string> arguments{std::istream_iterator<std::string>(words), {}};
  std::vector<char*> pointers{const_cast<char*>("attune")};
  for (std::string& argument : arguments) {
    if (argument == "''") argument.clear();
    pointers.push_back(argument.data());
  }
  pointers.push_back(nullptr);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto redirect = [](const char* name, int to) {
      const int file = ::open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
      if (file < 0 || dup2(file, to) < 0) _exit(99);
    };
    if (chdir(folder_.c_str()) != 0) _exit(99);
    redirect(".out", 1);
    redirect(".error", 2);
    execv(ATTUNE_COMMAND, pointers.data());
    _exit(99);
  }
  return child;
}

Workshop::Result Workshop::wait(pid_t child) const {
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  Result result;
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = read(".out");
  result.error = read(".error");
  return result;
}

Workshop::Result Workshop::run(const std::string& arguments) const {
  return wait(start(arguments));
}

void Workshop::await_lines(pid_t child, const std::string& name, size_t lines) const {
  for (int i = 0; i < 4000; ++i) {
    siginfo_t ended = {};
    waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT);
    if (ended.si_pid == child) return;
    if (exists(name) && count_lines(read(name)) >= lines) return;
    usleep(5000);
  }
  FAIL("the program writes nothing");
}

void Workshop::compile() const {
  const Result result = run("compile net.onnx -o net.att --scheme full --batch-size 4");
  REQUIRE_MESSAGE(result.status == 0, result.error);
}

size_t count_lines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

void check_refused(const Workshop::Result& result, const std::string& reason) {
  CAPTURE(result.error);
  CHECK(result.status == 2);
  CHECK(result.out.empty());
  CHECK(count_lines(result.error) == 1);
  CHECK(result.error.starts_with("attune: "));
  CHECK(contains(result.error, reason));
}

}  // namespace attune::test
