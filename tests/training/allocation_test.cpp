#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "attune/checkpoint.h"
#include "attune/run.h"
#include "attune/trainer.h"
#include "tests/training/checkpoint_files.h"
#include "tests/training/tiny_plan.h"

namespace {
std::atomic<long> allocations{0};

void* allocate(std::size_t bytes) {
  ++allocations;
  return std::malloc(bytes ? bytes : 1);
}
}  // namespace

// Counted here and for the whole test binary.
void* operator new(std::size_t bytes) {
  if (void* memory = allocate(bytes)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace attune {
namespace {

class QuietDataset : public Dataset {
 public:
  int64_t size() const override { return 10; }
  bool labelled() const override { return true; }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    const int32_t label = static_cast<int32_t>(index % 3);
    std::memset(bytes.data(), 0, bytes.size());
    if (field == kTargetField) std::memcpy(bytes.data(), &label, sizeof(label));
    return Status::ok();
  }
  std::string_view describe(int64_t) override { return "quiet"; }
};

}  // namespace

TEST_CASE("steps, evaluation and checkpoints allocate nothing") {
  TemporaryFolder folder;
  TinyOptions plan;
  plan.optimizer = "adam";
  plan.sliced = true;
  Tiny tiny(plan);
  QuietDataset data;
  TrainOptions options;
  options.epochs = 2;
  std::unique_ptr<Trainer> trainer;
  REQUIRE(Trainer::create(tiny.session(), data, options, &trainer));
  const std::string path = folder.path("a.atc");
  CheckpointInfo info;
  Evaluation evaluation;
  bool good = true;
  const long before = allocations;
  while (!trainer->done()) good = good && trainer->step();
  good = good && evaluate(tiny.session(), data, &evaluation);
  good = good && check_checkpoint_path(path.c_str(), tiny.plan());
  good = good && save_checkpoint(path.c_str(), tiny.session(), info);
  good = good && load_checkpoint(path.c_str(), tiny.session(), &info);
  const long after = allocations;
  CHECK(good);
  CHECK(after == before);
  CHECK(before > 0);
}

TEST_CASE("a run allocates nothing once it is made") {
  TemporaryFolder folder;
  Tiny tiny;
  QuietDataset data, held_out;
  RunOptions options;
  options.train.epochs = 3;
  std::unique_ptr<TrainingRun> run;
  REQUIRE(TrainingRun::create(tiny.session(), data, &held_out, options, &run));
  const std::string path = folder.path("a.atc");
  const long before = allocations;
  bool good = run->start().is_ok();
  while (good && !run->done()) good = run->step() && run->save(path.c_str());
  good = good && run->finish();
  const long after = allocations;
  CHECK(good);
  CHECK(after == before);
}

}  // namespace attune
