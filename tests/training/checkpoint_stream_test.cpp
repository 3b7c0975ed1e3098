#include <doctest/doctest.h>

#include <cstring>

#include "attune/checkpoint.h"
#include "tests/training/checkpoint_files.h"
#include "tests/training/tiny_plan.h"

// Checkpoints kept by the application, not in files.
namespace attune {
namespace {

struct MemorySink : ByteSink {
  std::string bytes;
  uint64_t announced = 0;
  size_t room = SIZE_MAX;
  bool begin(uint64_t total) override {
    announced = total;
    return true;
  }
  bool write(const void* data, size_t count) override {
    if (bytes.size() + count > room) return false;
    bytes.append(static_cast<const char*>(data), count);
    return true;
  }
};

struct MemorySource : ByteSource {
  explicit MemorySource(std::string given) : bytes(std::move(given)) {}
  std::string bytes;
  size_t readable = SIZE_MAX;
  uint64_t size() const override { return bytes.size(); }
  bool read_at(uint64_t offset, void* out, size_t count) override {
    CHECK(offset + count <= bytes.size());  // nothing past the end is asked for
    if (offset + count > readable) return false;
    std::memcpy(out, bytes.data() + offset, count);
    return true;
  }
};

std::string state_of(Tiny& tiny) {
  const auto state = tiny.session().state();
  return {reinterpret_cast<const char*>(state.data()), state.size()};
}

CheckpointInfo run_past_its_best() {
  CheckpointInfo info;
  info.progress.step = 9;
  info.keep_best = true;
  info.best = {2, 6, 0.25, 0.75, true};
  return info;
}

std::string error_of(const Status& status) { return status ? "" : status.message(); }

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a checkpoint written to a sink has the bytes of a file, and its size beforehand") {
  TemporaryFolder folder;
  for (const char* optimizer : {"sgd", "adam"}) {
    TinyOptions options;
    options.optimizer = optimizer;
    // Names longer than a block of the checksum.
    options.model_name = std::string(3000, 'm');
    Tiny tiny(options);
    const std::string best = state_of(tiny);
    tiny.session().state()[0] = std::byte{7};
    const auto best_bytes = std::as_bytes(std::span(best.data(), best.size()));
    const std::string path = folder.path(optimizer);
    REQUIRE(save_checkpoint(path.c_str(), tiny.session(), run_past_its_best(), best_bytes));
    MemorySink sink;
    REQUIRE(save_checkpoint(sink, "flash", tiny.session(), run_past_its_best(), best_bytes));
    CHECK(sink.bytes == read_bytes(path));
    CHECK(sink.announced == sink.bytes.size());

    MemorySource source(sink.bytes);
    const std::string last = state_of(tiny);
    CheckpointFacts facts;
    REQUIRE(examine_checkpoint(source, "flash", tiny.plan(), &facts));
    CHECK(facts.fits);
    CheckpointInfo info;
    REQUIRE(load_checkpoint(source, "flash", tiny.session(), &info));
    CHECK(info.progress.step == 9);
    CHECK(state_of(tiny) == best);
    REQUIRE(load_checkpoint(source, "flash", tiny.session(), nullptr, CheckpointState::last));
    CHECK(state_of(tiny) == last);
    WarmStart start;
    REQUIRE(start_from_checkpoint(source, "flash", tiny.session(), &start));
    CHECK(start.earlier_steps == 6);
    CHECK(state_of(tiny) == best);
  }
}

TEST_CASE("a sink that fails at any byte is reported") {
  Tiny tiny;
  MemorySink whole;
  REQUIRE(save_checkpoint(whole, "flash", tiny.session(), {}));
  for (size_t room = 0; room < whole.bytes.size(); ++room) {
    MemorySink sink;
    sink.room = room;
    CHECK(contains(error_of(save_checkpoint(sink, "flash", tiny.session(), {})),
                   "flash: the checkpoint cannot be written"));
  }
}

TEST_CASE("a source that fails, is cut or is damaged anywhere changes nothing") {
  Tiny tiny;
  MemorySink whole;
  REQUIRE(save_checkpoint(whole, "flash", tiny.session(), {}));
  tiny.session().state()[0] = std::byte{7};
  const std::string before = state_of(tiny);
  for (size_t at = 0; at < whole.bytes.size(); ++at) {
    MemorySource failing(whole.bytes), cut(whole.bytes.substr(0, at)), damaged(whole.bytes);
    failing.readable = at;
    damaged.bytes[at] = static_cast<char>(damaged.bytes[at] ^ 16);
    CHECK(contains(error_of(load_checkpoint(failing, "flash", tiny.session(), nullptr)), "flash"));
    CHECK(contains(error_of(load_checkpoint(cut, "flash", tiny.session(), nullptr)), "flash"));
    CHECK(contains(error_of(load_checkpoint(damaged, "flash", tiny.session(), nullptr)), "flash"));
    CHECK(state_of(tiny) == before);
  }
}

}  // namespace attune
