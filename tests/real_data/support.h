#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "attune/open_dataset.h"
#include "attune/trainer.h"
#include "sparse_update/pipeline/compile.h"

namespace attune::test {

// The folder of data and models beside the repository.
std::filesystem::path shared_folder();
// Whether it is there; says that a test is skipped where it is not.
bool have_shared_folder();

// Part of a dataset, in order.
class Part : public Dataset {
 public:
  Part(Dataset& whole, int64_t begin, int64_t end) : whole_(whole), begin_(begin), end_(end) {}
  int64_t size() const override { return end_ - begin_; }
  bool labelled() const override { return whole_.labelled(); }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    return whole_.read(begin_ + index, field, bytes);
  }
  std::string_view describe(int64_t index) override { return whole_.describe(begin_ + index); }

 private:
  Dataset& whole_;
  int64_t begin_, end_;
};

// A compiled model in a session of its own, as an application would have it.
class Learner {
 public:
  Learner(const Model& model, const CompileOptions& options, int threads = 1);
  std::unique_ptr<Dataset> open(const std::string& path) const;
  // Accuracy in percent.
  double accuracy(Dataset& data);
  // Batches of 8, momentum 0.9, a cosine from `rate` to zero.
  void train(Dataset& data, int64_t epochs, double rate);
  void reset() { session_->reset_state(); }
  Session& session() { return *session_; }

 private:
  Compiled compiled_;
  std::byte* aligned_ = nullptr;
  std::unique_ptr<std::byte[]> bytes_;
  Plan plan_;
  std::unique_ptr<Session> session_;
};

}  // namespace attune::test
