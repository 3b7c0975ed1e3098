#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace attune::test {

// A folder of its own with what the tests of the command use:
//   net.onnx    x[N,4] -> 5 hidden -> logits[N,3]
//   data.npz    38 examples that it can learn, `x` and `y`; unlabelled.npz without `y`
//   no_ones.npz two examples of classes 0 and 2
//   one.npy     two examples
class Workshop {
 public:
  Workshop();
  ~Workshop();
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string read(const std::string& name) const;
  void write(const std::string& name, const std::string& bytes) const;
  bool exists(const std::string& name) const;
  std::vector<std::string> files() const;  // sorted names
  void remove(const std::string& name) const;

  struct Result {
    int status = -1;  // the exit status; 128 + the signal's number where one ended it
    std::string out, error;
    nlohmann::json json() const { return nlohmann::json::parse(out); }
  };
  // Runs `attune` in the folder, with arguments that are split at spaces; '' is an empty one.
  Result run(const std::string& arguments) const;

  // Starts it and does not wait.
  pid_t start(const std::string& arguments) const;
  Result wait(pid_t child) const;
  // Waits until a file has so many lines or the program has ended; the test fails after 20 s.
  void await_lines(pid_t child, const std::string& name, size_t lines) const;

  // net.att, as most tests need it.
  void compile() const;

 private:
  std::string folder_;
};

size_t count_lines(const std::string& text);

// Bad input: status 2, nothing on standard output, one line that starts with "attune: " and holds
// the reason.
void check_refused(const Workshop::Result& result, const std::string& reason);

}  // namespace attune::test
