#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "attune/checkpoint.h"
#include "engine/format/checkpoint_format.h"
#include "tests/training/checkpoint_files.h"
#include "tests/training/tiny_plan.h"

// A run's best epoch beside where it stands, and runs that start from another.
namespace attune {
namespace {

std::vector<std::byte> state_of(const Tiny& tiny) {
  const auto state = const_cast<Tiny&>(tiny).session().state();
  return {state.begin(), state.end()};
}

void fill(Tiny& tiny, float value) {
  auto* state = reinterpret_cast<float*>(tiny.session().state().data());
  std::fill(state, state + tiny.session().state().size() / sizeof(float), value);
}

float first_weight(Tiny& tiny) {
  return *reinterpret_cast<const float*>(tiny.session().state().data());
}

std::string error_of(const Status& status) { return status ? "" : status.message(); }

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// After step 9, of a run whose best epoch ended with step 6.
CheckpointInfo run_past_its_best() {
  CheckpointInfo info;
  info.options.epochs = 5;
  info.progress.step = 9;
  info.progress.epoch = 3;
  info.keep_best = true;
  info.patience = 4;
  info.measured_epoch = 3;
  info.best = {2, 6, 0.25, 0.75, true};
  info.kept = {.step = 6, .epoch = 2};
  return info;
}

// Makes of a checkpoint what an older version would have written: one whose header ends earlier.
void age_checkpoint(const std::string& path, uint32_t version) {
  const size_t header_bytes = checkpoint::kHeaderBytes[version - 1];
  std::string bytes = read_bytes(path);
  bytes.erase(header_bytes, sizeof(checkpoint::Header) - header_bytes);
  const auto put = [&](size_t at, auto value) {
    std::memcpy(bytes.data() + at, &value, sizeof(value));
  };
  put(offsetof(checkpoint::Header, version), version);
  put(offsetof(checkpoint::Header, header_bytes), static_cast<uint32_t>(header_bytes));
  put(offsetof(checkpoint::Header, file_bytes), uint64_t{bytes.size()});
  put(bytes.size() - 8, hash64(std::as_bytes(std::span(bytes).first(bytes.size() - 8))));
  write_bytes(path, bytes);
}

}  // namespace

TEST_CASE("a checkpoint gives its best epoch, or where the run stands") {
  TemporaryFolder folder;
  const std::string path = folder.path("a.atc");
  TinyOptions options;
  options.optimizer = "adam";
  Tiny from(options), to(options);
  fill(from, 2);
  const std::vector<std::byte> best = state_of(from);
  fill(from, 3);
  REQUIRE(save_checkpoint(path.c_str(), from.session(), run_past_its_best(), best));
  CheckpointInfo info;
  REQUIRE(load_checkpoint(path.c_str(), to.session(), &info));
  CHECK(first_weight(to) == 2);
  CHECK(info.keep_best);
  CHECK(info.patience == 4);
  CHECK(info.measured_epoch == 3);
  CHECK(info.best.epoch == 2);
  CHECK(info.best.step == 6);
  CHECK(info.best.loss == 0.25);
  CHECK(info.best.accuracy == 0.75);
  REQUIRE(load_checkpoint(path.c_str(), to.session(), &info, CheckpointState::last));
  CHECK(first_weight(to) == 3);

  // A state of another size is not one of this plan; nothing is written.
  const std::string before = read_bytes(path);
  CHECK(contains(error_of(save_checkpoint(path.c_str(), from.session(), run_past_its_best())),
                 "state that the run keeps"));
  CHECK(read_bytes(path) == before);

  // Where the best is where the run stands, it is there once.
  CheckpointInfo at_best = run_past_its_best();
  at_best.best.step = 9;
  REQUIRE(save_checkpoint(path.c_str(), from.session(), at_best));
  CHECK(read_bytes(path).size() < before.size());
  REQUIRE(load_checkpoint(path.c_str(), to.session(), nullptr));
  CHECK(first_weight(to) == 3);
}

TEST_CASE("a run is finished after its epochs, its steps, or its patience") {
  CheckpointInfo info = run_past_its_best();
  CHECK_FALSE(is_finished(info));
  info.measured_epoch = 6;
  CHECK(is_finished(info));
  info.patience = 0;
  CHECK_FALSE(is_finished(info));
  info.progress.epoch = 5;
  CHECK(is_finished(info));
  info.options.steps = 10;
  CHECK_FALSE(is_finished(info));
  info.progress.step = 10;
  CHECK(is_finished(info));
}

TEST_CASE("checkpoints of version 1 are read") {
  TemporaryFolder folder;
  const std::string path = folder.path("a.atc");
  Tiny from, to;
  fill(from, 4);
  CheckpointInfo info;
  info.progress.step = 9;
  REQUIRE(save_checkpoint(path.c_str(), from.session(), info));
  age_checkpoint(path, 1);
  CheckpointInfo read;
  const Status status = load_checkpoint(path.c_str(), to.session(), &read);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  CHECK(first_weight(to) == 4);
  CHECK(read.progress.step == 9);
  CHECK(read.progress.earlier_steps == 0);
  CHECK_FALSE(read.keep_best);
  CHECK_FALSE(read.best.measured);
  CHECK(read.kept.step == 9);
}

TEST_CASE("checkpoints of version 2 give their best epoch") {
  TemporaryFolder folder;
  const std::string path = folder.path("a.atc");
  Tiny from, to;
  fill(from, 2);
  const std::vector<std::byte> best = state_of(from);
  fill(from, 3);
  REQUIRE(save_checkpoint(path.c_str(), from.session(), run_past_its_best(), best));
  age_checkpoint(path, 2);
  CheckpointInfo read;
  const Status status = load_checkpoint(path.c_str(), to.session(), &read);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  CHECK(first_weight(to) == 2);
  CHECK(read.best.measured);
  CHECK(read.best.epoch == 2);
  CHECK(read.kept.step == 6);
  CHECK(read.kept.epoch == 2);
  CHECK(read.rollbacks == 0);
  REQUIRE(load_checkpoint(path.c_str(), to.session(), nullptr, CheckpointState::last));
  CHECK(first_weight(to) == 3);
}

TEST_CASE("a run that keeps no best epoch gives its last state, and what it would go back to") {
  TemporaryFolder folder;
  const std::string path = folder.path("a.atc");
  Tiny from, to;
  fill(from, 2);
  const std::vector<std::byte> kept = state_of(from);
  fill(from, 3);
  CheckpointInfo info;
  info.progress = {.step = 9, .epoch = 1, .batch = 3, .loss_sum = 2, .weight_sum = 24};
  info.kept = {.step = 6, .epoch = 1, .batch = 0, .last_loss = 0.5, .last_rate = 0.25};
  info.rollbacks = 3;
  REQUIRE(save_checkpoint(path.c_str(), from.session(), info, kept));
  CheckpointInfo read;
  REQUIRE(load_checkpoint(path.c_str(), to.session(), &read));
  CHECK(first_weight(to) == 3);
  CHECK(read.rollbacks == 3);
  CHECK(read.kept.step == 6);
  CHECK(read.kept.epoch == 1);
  CHECK(read.kept.last_loss == 0.5);
  CHECK(read.kept.last_rate == 0.25);
  REQUIRE(load_checkpoint(path.c_str(), to.session(), nullptr, CheckpointState::kept));
  CHECK(first_weight(to) == 2);
  WarmStart start;
  REQUIRE(start_from_checkpoint(path.c_str(), to.session(), &start));
  CHECK(first_weight(to) == 3);
  CHECK(start.earlier_steps == 9);
}

TEST_CASE("a run starts from the best of another, with its optimizer's state and steps") {
  TemporaryFolder folder;
  const std::string path = folder.path("a.atc");
  TinyOptions options;
  options.optimizer = "adam";
  Tiny from(options);
  fill(from, 2);
  const std::vector<std::byte> best = state_of(from);
  fill(from, 3);
  CheckpointInfo info = run_past_its_best();
  info.progress.earlier_steps = 100;
  REQUIRE(save_checkpoint(path.c_str(), from.session(), info, best));
  options.train_batch = 2;
  Tiny to(options);
  WarmStart start;
  REQUIRE(start_from_checkpoint(path.c_str(), to.session(), &start));
  CHECK(start.parameters == 2);
  CHECK(start.optimizer_state);
  CHECK(start.earlier_steps == 106);
  const auto at = [](Tiny& tiny, uint64_t offset) {
    return *reinterpret_cast<const float*>(tiny.session().state().data() + offset);
  };
  for (const format::Parameter* p : *to.plan().table().parameters()) {
    CHECK(at(to, p->state_offset()) == 2);
    for (const uint64_t slot : *p->slots()) CHECK(at(to, slot) == 2);
  }

  // Another optimizer takes the parameters, and begins anew.
  options.optimizer = "momentum";
  options.signature = 78;
  Tiny other(options), untrained(options);
  fill(other, 9);
  REQUIRE(start_from_checkpoint(path.c_str(), other.session(), &start));
  CHECK(start.parameters == 2);
  CHECK_FALSE(start.optimizer_state);
  CHECK(start.earlier_steps == 0);
  for (const format::Parameter* p : *other.plan().table().parameters()) {
    CHECK(at(other, p->state_offset()) == 2);
    CHECK(at(other, p->slots()->Get(0)) == at(untrained, p->slots()->Get(0)));
  }
}

TEST_CASE("a start that would lose something is refused, and changes nothing") {
  TemporaryFolder folder;
  const std::string path = folder.path("a.atc");
  Tiny from;
  REQUIRE(save_checkpoint(path.c_str(), from.session(), {}));
  struct Row {
    const char* expected;
    void (*change)(TinyOptions&);
  };
  const Row rows[] = {
      {"'fc.weight' was trained there and is frozen in the plan",
       [](TinyOptions& o) { o.weight_name = "classifier.weight"; }},
      {"other channels of 'fc.weight' are trained in the plan",
       [](TinyOptions& o) { o.sliced = true; }},
      {"computes in f32, and this one computes in f64",
       [](TinyOptions& o) { o.real = DType::f64; }},
      {"checkpoint of another model", [](TinyOptions& o) { o.model_hash = 6; }},
  };
  for (const Row& row : rows) {
    TinyOptions options;
    options.signature = 78;
    row.change(options);
    Tiny to(options);
    const std::vector<std::byte> before = state_of(to);
    WarmStart start;
    const std::string error = error_of(start_from_checkpoint(path.c_str(), to.session(), &start));
    CAPTURE(error);
    CHECK(contains(error, row.expected));
    CHECK(state_of(to) == before);
  }
}

TEST_CASE("hostile fields of a checkpoint to start from are refused or harmless") {
  TemporaryFolder folder;
  TinyOptions options;
  options.signature = 78;
  Tiny from, to(options);
  fill(from, 2);
  const std::vector<std::byte> best = state_of(from);
  REQUIRE(save_checkpoint(folder.path("a.atc").c_str(), from.session(), run_past_its_best(), best));
  const std::string whole = read_bytes(folder.path("a.atc"));
  REQUIRE(whole.size() < 8192);  // one block of the checksum
  int refused = 0;
  for (size_t at = 0; at + 4 <= whole.size() - 8; ++at)
    for (uint32_t value : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
      std::string changed = whole;
      std::memcpy(changed.data() + at, &value, sizeof(value));
      const uint64_t checksum = hash64(std::as_bytes(std::span(changed).first(changed.size() - 8)));
      std::memcpy(changed.data() + changed.size() - 8, &checksum, sizeof(checksum));
      write_bytes(folder.path("b.atc"), changed);
      WarmStart start;
      if (start_from_checkpoint(folder.path("b.atc").c_str(), to.session(), &start))
        CHECK(start.earlier_steps >= 0);
      else
        ++refused;
      CheckpointFacts facts;
      if (examine_checkpoint(folder.path("b.atc").c_str(), to.plan(), &facts))
        CHECK(facts.info.progress.step >= 0);
    }
  CHECK(refused > 500);
}

}  // namespace attune
