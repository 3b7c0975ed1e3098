#include "attune/device_check.h"

#include <doctest/doctest.h>
#include <pthread.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "attune/checkpoint.h"
#include "attune/trainer.h"
#include "engine/format/plan_generated.h"
#include "tests/training/checkpoint_files.h"
#include "tests/training/tiny_plan.h"

namespace attune {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A tiny plan's bytes where a plan may lie.
class PlanBytes {
 public:
  explicit PlanBytes(const TinyOptions& options) {
    const std::vector<std::byte> bytes = tiny_plan_bytes(options);
    size_ = bytes.size();
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(64, size_)));
    std::memcpy(memory_.get(), bytes.data(), size_);
  }
  std::span<std::byte> bytes() { return {memory_.get(), size_}; }

  // Makes step `index` of the training program one of another operator.
  void set_operator(unsigned index, uint16_t op, uint8_t version) {
    PlanHeader header;
    std::memcpy(&header, memory_.get(), sizeof(header));
    const format::Plan* plan = format::GetPlan(memory_.get() + header.program_offset);
    auto* step = reinterpret_cast<flatbuffers::Table*>(
        const_cast<format::Step*>(plan->programs()->Get(0)->steps()->Get(index)));
    REQUIRE(step->SetField<uint16_t>(format::Step::VT_OP, op, 0));
    REQUIRE(step->SetField<uint8_t>(format::Step::VT_OP_VERSION, version, 0));
    header.checksum = hash64(std::span<const std::byte>(bytes()).subspan(sizeof(header)));
    std::memcpy(memory_.get(), &header, sizeof(header));
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  size_t size_ = 0;
};

// The most of its stack that `work` uses, in a thread of its own.
size_t stack_used(const std::function<void()>& work) {
  constexpr size_t kBytes = size_t{256} << 10;
  constexpr unsigned char kPaint = 0xa5;
  auto* const stack = static_cast<unsigned char*>(std::aligned_alloc(4096, kBytes));
  std::memset(stack, kPaint, kBytes);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  REQUIRE(pthread_attr_setstack(&attributes, stack, kBytes) == 0);
  pthread_t thread;
  const auto start = [](void* given) -> void* {
    (*static_cast<const std::function<void()>*>(given))();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, start,
                         const_cast<void*>(static_cast<const void*>(&work))) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  size_t untouched = 0;
  while (untouched < kBytes && stack[untouched] == kPaint) ++untouched;
  std::free(stack);
  return kBytes - untouched;
}

}  // namespace

TEST_CASE("a plan that fits is found to, with the memory that a session then takes") {
  for (const char* optimizer : {"sgd", "adam"})
    for (const BackendChoice backend : {BackendChoice::reference, BackendChoice::best}) {
      Tiny tiny({.optimizer = optimizer, .keeps_gradients = true});
      SessionOptions options;
      options.backend = backend;
      DeviceCheck check;
      REQUIRE(check_device(tiny.plan(), options, {}, &check));
      CHECK(check.fits);
      CHECK(std::string(check.reason) == "");
      CHECK(check.plan_bytes == tiny.plan().file_bytes());
      CHECK(check.ram_available > check.memory.ram());
      std::unique_ptr<Session> session;
      REQUIRE(Session::create(tiny.plan(), options, &session));
      const MemoryReport made = session->memory();
      CHECK(check.memory.constants == made.constants);
      CHECK(check.memory.state == made.state);
      CHECK(check.memory.arena == made.arena);
      CHECK(check.memory.session == made.session);
      CHECK(check.memory.kept_gradients == made.kept_gradients);
      CHECK(made.kept_gradients == 15 * sizeof(float));
      // What kernels pack is estimated; the reference's pack nothing.
      CHECK(check.memory.workspace >= made.workspace);
      if (backend == BackendChoice::reference) CHECK(check.memory.workspace == made.workspace);
      size_t required = 0;
      REQUIRE(Session::required_bytes(tiny.plan(), options, &required));
      CHECK(check.required_bytes == required);
    }
}

TEST_CASE("what does not fit is said in a line") {
  Tiny tiny;
  SessionOptions options;
  DeviceCheck check;
  REQUIRE(check_device(tiny.plan(), options, {.ram_bytes = 1000}, &check));
  CHECK_FALSE(check.fits);
  CHECK(contains(check.reason, "tiny.att: a session takes " + std::to_string(check.memory.ram()) +
                                   " bytes of memory, and there are 1000"));
  const size_t ram = check.memory.ram();
  REQUIRE(check_device(tiny.plan(), options, {.ram_bytes = ram - 1}, &check));
  CHECK_FALSE(check.fits);
  REQUIRE(check_device(tiny.plan(), options, {.ram_bytes = ram}, &check));
  CHECK(check.fits);
  REQUIRE(check_device(tiny.plan(), options, {.stack_bytes = 1000}, &check));
  CHECK_FALSE(check.fits);
  CHECK(contains(check.reason, "of stack, and there are 1000"));
  REQUIRE(check_device(tiny.plan(), options, {.stack_bytes = check.stack_bytes}, &check));
  CHECK(check.fits);

  // The caller's memory: what it has is what there is.
  const size_t required = check.required_bytes;
  const auto in_block = [&](size_t bytes) {
    auto* block = static_cast<std::byte*>(std::aligned_alloc(64, required + 64));
    SessionOptions own;
    own.memory = {block, bytes};
    REQUIRE(check_device(tiny.plan(), own, {}, &check));
    std::unique_ptr<Session> session;
    CHECK(Session::create(tiny.plan(), own, &session).is_ok() == check.fits);
    session.reset();
    std::free(block);
    return check.fits;
  };
  CHECK(in_block(required));
  CHECK_FALSE(in_block(required - 64));
  CHECK_FALSE(in_block(64));
}

TEST_CASE("operators that a library does not know are all named, before loading and in its error") {
  PlanBytes plan({});
  plan.set_operator(0, 60000, 3);
  plan.set_operator(1, 60000, 3);
  plan.set_operator(2, 60001, 1);
  const std::string names = "this library does not know operator 60000 version 3, 60001 version 1";
  DeviceCheck check;
  REQUIRE(check_device(plan.bytes(), "new.att", {}, {}, &check));
  CHECK_FALSE(check.fits);
  CHECK(check.lacking_operators == 2);
  CHECK(contains(check.reason, "new.att: " + names));
  CHECK(check.memory.state > 0);
  Plan loaded;
  CHECK(contains(Plan::from_memory(plan.bytes(), "new.att", &loaded).message(), names));
}

TEST_CASE("a plan in memory is checked as one that is loaded, and what is no plan is an error") {
  PlanBytes plan({});
  DeviceCheck check;
  REQUIRE(check_device(plan.bytes(), "tiny.att", {}, {}, &check));
  CHECK(check.fits);
  CHECK(check.lacking_operators == 0);
  plan.bytes()[plan.bytes().size() / 2] ^= std::byte{1};
  CHECK(contains(check_device(plan.bytes(), "tiny.att", {}, {}, &check).message(), "is damaged"));
  CHECK(contains(check_device(plan.bytes().first(64), "tiny.att", {}, {}, &check).message(),
                 "not an Attune plan"));
}

#ifndef __SANITIZE_ADDRESS__
TEST_CASE("the stack that is said to be enough is, for all that an application does") {
  TemporaryFolder folder;
  const std::string path = folder.path("a.atc");
  PlanBytes bytes({.optimizer = "adam"});
  bool good = false;
  const auto work = [&] {
    Plan plan;
    std::unique_ptr<Session> session;
    std::unique_ptr<Trainer> trainer;
    TinyDataset data(6);
    Evaluation evaluation;
    DeviceCheck check;
    good = Plan::from_memory(bytes.bytes(), "tiny.att", &plan) &&
           check_device(plan, {}, {}, &check) && Session::create(plan, {}, &session) &&
           Trainer::create(*session, data, {}, &trainer) && trainer->step() &&
           evaluate(*session, data, &evaluation) &&
           save_checkpoint(path.c_str(), *session, {trainer->options(), trainer->progress(), 6}) &&
           load_checkpoint(path.c_str(), *session, nullptr);
  };
  work();  // what a program does once, such as binding functions
  REQUIRE(good);
  std::remove(path.c_str());
  const size_t used = stack_used(work);
  REQUIRE(good);
  DeviceCheck check;
  REQUIRE(check_device(bytes.bytes(), "tiny.att", {}, {}, &check));
  MESSAGE("stack used: " << used << " of " << check.stack_bytes);
  CHECK(used < check.stack_bytes);
  CHECK(check.stack_bytes < 4 * used);
}
#endif

}  // namespace attune
