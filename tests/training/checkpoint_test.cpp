#include "attune/checkpoint.h"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>

#include "engine/format/plan_generated.h"
#include "tests/training/checkpoint_files.h"
#include "tests/training/tiny_plan.h"

namespace attune {
namespace {

CheckpointInfo some_info() {
  CheckpointInfo info;
  info.options.epochs = 7;
  info.options.steps = 100;
  info.options.schedule = {ScheduleKind::step, 0.025, 3, 5, 0.7, 100};
  info.options.seed = 0xfedcba9876543210u;
  info.options.shuffle = false;
  info.progress = {9, 3, 2, 1.1, 5, 8, 0.13, 0.0123};
  info.dataset_size = 31;
  return info;
}

// Puts a different number in every element of the state.
void number_state(Tiny& tiny, double first) {
  const bool f64 = tiny.plan().table().real() == static_cast<uint8_t>(DType::f64);
  const size_t count = tiny.session().state().size() / (f64 ? 8 : 4);
  for (size_t i = 0; i < count; ++i) {
    const double value = first + static_cast<double>(i);
    if (f64)
      reinterpret_cast<double*>(tiny.session().state().data())[i] = value;
    else
      reinterpret_cast<float*>(tiny.session().state().data())[i] = static_cast<float>(value);
  }
}

std::string load_error(const std::string& path, Tiny& tiny) {
  CheckpointInfo info;
  const Status status = load_checkpoint(path.c_str(), tiny.session(), &info);
  return status ? "" : status.message();
}

void save(const std::string& path, Tiny& tiny, const CheckpointInfo& info = some_info()) {
  const Status status = save_checkpoint(path.c_str(), tiny.session(), info);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE(
    "what is saved comes back bit for bit: trained parts, optimizer state, options, position") {
  TemporaryFolder folder;
  for (DType real : {DType::f32, DType::f64})
    for (const char* optimizer : {"sgd", "momentum", "adam"})
      for (bool sliced : {false, true}) {
        CAPTURE(optimizer);
        CAPTURE(sliced);
        TinyOptions options;
        options.real = real;
        options.optimizer = optimizer;
        options.sliced = sliced;
        Tiny from(options), to(options);
        number_state(from, 1000);
        number_state(to, 5000);
        const auto untouched =
            std::vector<std::byte>(to.session().state().begin(), to.session().state().end());
        const std::string path = folder.path("a.atc");
        std::remove(path.c_str());
        save(path, from);
        CheckpointInfo info;
        const Status status = load_checkpoint(path.c_str(), to.session(), &info);
        REQUIRE_MESSAGE(status.is_ok(), status.message());
        // Only gaps between tensors and the class that is not trained keep what they held.
        const size_t bytes = real == DType::f64 ? 8 : 4;
        const auto same = [&](Tiny& a, const std::byte* b, size_t offset, size_t elements) {
          return std::memcmp(a.session().state().data() + offset, b + offset, elements * bytes) ==
                 0;
        };
        const std::byte* const saved = from.session().state().data();
        CHECK(same(to, saved, 0, 4));
        CHECK(same(to, sliced ? untouched.data() : saved, 4 * bytes, 4));
        CHECK(same(to, saved, 8 * bytes, 4));
        for (const format::Parameter* p : *to.plan().table().parameters()) {
          const bool weight = p->name()->string_view() == "fc.weight";
          if (!weight) CHECK(same(to, saved, p->state_offset(), 3));
          for (uint64_t slot : *p->slots())
            CHECK(same(to, saved, slot, weight ? (sliced ? 8u : 12u) : 3u));
        }
        const CheckpointInfo expected = some_info();
        CHECK(info.options.epochs == expected.options.epochs);
        CHECK(info.options.steps == expected.options.steps);
        CHECK(info.options.seed == expected.options.seed);
        CHECK(info.options.shuffle == expected.options.shuffle);
        CHECK(info.options.schedule.kind == expected.options.schedule.kind);
        CHECK(info.options.schedule.base == expected.options.schedule.base);
        CHECK(info.options.schedule.warmup_steps == expected.options.schedule.warmup_steps);
        CHECK(info.options.schedule.every == expected.options.schedule.every);
        CHECK(info.options.schedule.gamma == expected.options.schedule.gamma);
        CHECK(info.options.schedule.total_steps == expected.options.schedule.total_steps);
        CHECK(std::memcmp(&info.progress, &expected.progress, sizeof(TrainProgress)) == 0);
        CHECK(info.dataset_size == 31);
        CHECK(load_checkpoint(path.c_str(), to.session(), nullptr));
      }
}

TEST_CASE("the file holds the model's order, not the plan's") {
  TemporaryFolder folder;
  Tiny tiny;
  number_state(tiny, 0);
  save(folder.path("a.atc"), tiny);
  // w is [3,4] here and [4,3] in the model: element (i, o) is number 4 o + i.
  std::vector<float> expected;
  for (int i = 0; i < 4; ++i)
    for (int o = 0; o < 3; ++o) expected.push_back(static_cast<float>(4 * o + i));
  const std::string file = read_bytes(folder.path("a.atc"));
  const std::string bytes(reinterpret_cast<const char*>(expected.data()), 48);
  CHECK(file.find(bytes) != std::string::npos);

  TinyOptions options;
  options.sliced = true;
  Tiny sliced(options);
  number_state(sliced, 0);
  save(folder.path("b.atc"), sliced);
  const float narrow[] = {0, 8, 1, 9, 2, 10, 3, 11};
  CHECK(read_bytes(folder.path("b.atc"))
            .find(std::string(reinterpret_cast<const char*>(narrow), 32)) != std::string::npos);
}

TEST_CASE("a plan of another batch size reads the checkpoint") {
  TemporaryFolder folder;
  Tiny from;
  number_state(from, 10);
  save(folder.path("a.atc"), from);
  TinyOptions options;
  options.train_batch = 9;
  options.evaluate_batch = 1;
  options.model_name = "renamed.onnx";
  Tiny to(options);
  CHECK(load_error(folder.path("a.atc"), to) == "");
  CHECK(reinterpret_cast<const float*>(to.session().state().data())[11] == 21);
}

TEST_CASE("a checkpoint of another plan says what differs and changes nothing") {
  TemporaryFolder folder;
  TinyOptions base;
  base.optimizer = "momentum";
  Tiny from(base);
  save(folder.path("a.atc"), from);
  struct Row {
    const char* expected;
    void (*change)(TinyOptions&);
  };
  const Row rows[] = {
      {"it is of the model 'tiny.onnx', the plan of 'other.onnx'",
       [](TinyOptions& o) { o.model_hash = 6, o.model_name = "other.onnx"; }},
      {"another version of 'tiny.onnx'", [](TinyOptions& o) { o.model_hash = 6; }},
      {"trained with 'momentum', the plan trains with 'adam'",
       [](TinyOptions& o) { o.optimizer = "adam"; }},
      {"tensor 'fc.weight' where the plan trains 'classifier.weight'",
       [](TinyOptions& o) { o.weight_name = "classifier.weight"; }},
      {"'fc.weight': -1 channels are trained there and 2 in the plan",
       [](TinyOptions& o) { o.sliced = true; }},
      {"'fc.weight' is f32 there and f64 in the plan", [](TinyOptions& o) { o.real = DType::f64; }},
      {"the weights that training starts from differ", [](TinyOptions&) {}},
  };
  for (const Row& row : rows) {
    TinyOptions options = base;
    options.signature = 78;
    row.change(options);
    Tiny to(options);
    number_state(to, 3);
    const std::vector<std::byte> before(to.session().state().begin(), to.session().state().end());
    const std::string error = load_error(folder.path("a.atc"), to);
    CAPTURE(error);
    CHECK(contains(error, "checkpoint of another model or scheme: "));
    CHECK(contains(error, row.expected));
    CHECK(contains(error, "compile the plan with the same model, scheme and optimizer"));
    CHECK(std::equal(before.begin(), before.end(), to.session().state().begin()));
  }
}

TEST_CASE("a checkpoint in float is not for a plan in double, even of the same signature") {
  TemporaryFolder folder;
  TinyOptions options;
  Tiny from(options);
  options.real = DType::f64;
  Tiny to(options);
  const std::string path = folder.path("a.atc");
  save(path, from);
  CHECK(contains(load_error(path, to), "computes in f32, and this one computes in f64"));
  CHECK_FALSE(check_checkpoint_path(path.c_str(), to.plan()));
}

TEST_CASE("a file cut short anywhere is refused, and changes nothing") {
  TemporaryFolder folder;
  TinyOptions options;
  options.optimizer = "adam";
  Tiny tiny(options);
  save(folder.path("a.atc"), tiny);
  const std::string whole = read_bytes(folder.path("a.atc"));
  number_state(tiny, 77);
  const std::vector<std::byte> before(tiny.session().state().begin(), tiny.session().state().end());
  for (size_t length = 0; length < whole.size(); ++length) {
    write_bytes(folder.path("cut.atc"), whole.substr(0, length));
    CHECK(load_error(folder.path("cut.atc"), tiny) != "");
  }
  write_bytes(folder.path("cut.atc"), whole + '\0');
  CHECK(contains(load_error(folder.path("cut.atc"), tiny), "where its header says"));
  CHECK(std::equal(before.begin(), before.end(), tiny.session().state().begin()));
  CHECK(load_error(folder.path("a.atc"), tiny) == "");
}

TEST_CASE("any changed byte is noticed") {
  TemporaryFolder folder;
  Tiny tiny;
  save(folder.path("a.atc"), tiny);
  const std::string whole = read_bytes(folder.path("a.atc"));
  number_state(tiny, 77);
  const std::vector<std::byte> before(tiny.session().state().begin(), tiny.session().state().end());
  for (size_t at = 0; at < whole.size(); ++at)
    for (unsigned mask : {0x01u, 0x80u, 0xffu}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ mask);
      write_bytes(folder.path("b.atc"), changed);
      CHECK(load_error(folder.path("b.atc"), tiny) != "");
    }
  CHECK(std::equal(before.begin(), before.end(), tiny.session().state().begin()));
}

TEST_CASE("hostile fields under a right checksum are refused or harmless") {
  TemporaryFolder folder;
  TinyOptions options;
  options.optimizer = "momentum";
  Tiny tiny(options), other([] {
    TinyOptions o;
    o.signature = 78;
    return o;
  }());
  save(folder.path("a.atc"), tiny);
  const std::string whole = read_bytes(folder.path("a.atc"));
  REQUIRE(whole.size() < 8192);  // one block of the checksum
  for (size_t at = 0; at + 4 <= whole.size() - 8; ++at)
    for (uint32_t value : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
      std::string changed = whole;
      std::memcpy(changed.data() + at, &value, sizeof(value));
      const uint64_t checksum = hash64(std::as_bytes(std::span(changed).first(changed.size() - 8)));
      std::memcpy(changed.data() + changed.size() - 8, &checksum, sizeof(checksum));
      write_bytes(folder.path("b.atc"), changed);
      CheckpointInfo info;
      if (load_checkpoint(folder.path("b.atc").c_str(), tiny.session(), &info)) {
        CHECK(check_schedule(info.options.schedule));
        CHECK(info.progress.step >= 0);
        CHECK(info.options.epochs >= 0);
      }
      CHECK(load_error(folder.path("b.atc"), other) != "");
    }
}

TEST_CASE("numbers that are not finite are refused under a right checksum, and change nothing") {
  for (const DType real : {DType::f32, DType::f64}) {
    TemporaryFolder folder;
    TinyOptions options;
    options.real = real;
    options.optimizer = "momentum";
    Tiny tiny(options);
    save(folder.path("a.atc"), tiny);
    number_state(tiny, 5);
    const auto state = tiny.session().state();
    const std::vector<std::byte> before(state.begin(), state.end());
    const std::string whole = read_bytes(folder.path("a.atc"));
    // The last element is an optimizer's, which --from does not take for another scheme.
    for (const double value :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      std::string changed = whole;
      const auto single = static_cast<float>(value);
      if (real == DType::f64)
        std::memcpy(changed.data() + changed.size() - 16, &value, 8);
      else
        std::memcpy(changed.data() + changed.size() - 12, &single, 4);
      const uint64_t checksum = hash64(std::as_bytes(std::span(changed).first(changed.size() - 8)));
      std::memcpy(changed.data() + changed.size() - 8, &checksum, sizeof(checksum));
      const std::string path = folder.path("b.atc");
      write_bytes(path, changed);
      CHECK(contains(load_error(path, tiny), "holds numbers that are not finite"));
      WarmStart start;
      const Status started = start_from_checkpoint(path.c_str(), tiny.session(), &start);
      CHECK(contains(started ? "" : started.message(), "holds numbers that are not finite"));
      CHECK(std::equal(before.begin(), before.end(), state.begin()));
    }
  }
}

TEST_CASE("what is no checkpoint is refused with a reason") {
  TemporaryFolder folder;
  Tiny tiny;
  CHECK(contains(load_error(folder.path("none.atc"), tiny), "no such file"));
  CHECK(contains(load_error(folder.path(""), tiny), "not a regular file"));
  write_bytes(folder.path("empty.atc"), "");
  CHECK(contains(load_error(folder.path("empty.atc"), tiny), "is not a checkpoint"));
  write_bytes(folder.path("text.atc"), std::string(5000, 'x'));
  CHECK(contains(load_error(folder.path("text.atc"), tiny), "is not a checkpoint"));
  CHECK(contains(load_error("/dev/null", tiny), "not a regular file"));
  save(folder.path("a.atc"), tiny);
  std::string newer = read_bytes(folder.path("a.atc"));
  newer[8] = 9;
  write_bytes(folder.path("newer.atc"), newer);
  CHECK(contains(load_error(folder.path("newer.atc"), tiny), "version 9"));
}

}  // namespace attune
