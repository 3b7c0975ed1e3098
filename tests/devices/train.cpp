// Trains a plan on numbers that are the same on every device, with the reference kernels, and
// prints hashes of what it computed. No heap, no files, no printf.
#include <cstring>
#include <memory>

#include "attune/checkpoint.h"
#include "attune/trainer.h"
#include "tests/devices/device.h"

namespace attune::device {
namespace {

// Emscripten's library has no std::bit_cast.
uint64_t bits_of(double number) {
  uint64_t bits;
  std::memcpy(&bits, &number, sizeof(bits));
  return bits;
}

constexpr int64_t kExamples = 20;  // the last of three batches of 8 is a partial one

struct Line {
  char text[512] = {};
  size_t size = 0;

  Line& operator<<(const char* more) {
    while (*more && size + 1 < sizeof(text)) text[size++] = *more++;
    return *this;
  }
  Line& operator<<(uint64_t number) {
    char digits[21];
    char* first = digits + sizeof(digits) - 1;
    *first = '\0';
    do *--first = static_cast<char>('0' + number % 10);
    while (number /= 10);
    return *this << first;
  }
  Line& hash(uint64_t number) {
    char digits[17] = {};
    for (int i = 0; i < 16; ++i) digits[i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
    return *this << digits;
  }
  ~Line() {
    *this << "\n";
    print(text);
  }
};

// Any two differ in all their bits.
uint32_t scrambled(uint64_t number) {
  number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
  number = (number ^ number >> 27) * 0x94d049bb133111ebu;
  return static_cast<uint32_t>(number >> 33);
}

class Numbers : public Dataset {
 public:
  explicit Numbers(const Session& session) : session_(session) {}
  int64_t size() const override { return kExamples; }
  bool labelled() const override { return true; }
  std::string_view describe(int64_t) override { return "a number"; }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    const SessionPort port = field == kTargetField
                                 ? session_.port(ProgramKind::train_step, PortRole::label)
                                 : session_.port(ProgramKind::train_step, PortRole::input, field);
    for (size_t at = 0; at < bytes.size(); at += 4) {
      const uint32_t number = scrambled(static_cast<uint64_t>(index) << 32 |
                                        static_cast<uint64_t>(field + 2) << 24 | at);
      if (port.tensor.dtype == DType::i32) {
        const uint32_t id = number % static_cast<uint32_t>(port.limit);
        std::memcpy(bytes.data() + at, &id, 4);
      } else if (port.tensor.dtype == DType::f32) {
        const float real =
            static_cast<float>(static_cast<int32_t>(number >> 7) - (1 << 23)) / (1 << 23);
        std::memcpy(bytes.data() + at, &real, 4);
      } else {
        return Status::error("%s", "an input is neither f32 nor i32");
      }
    }
    return Status::ok();
  }

 private:
  const Session& session_;
};

// A checkpoint in memory.
struct Kept final : ByteSink, ByteSource {
  explicit Kept(std::span<std::byte> room) : room(room) {}
  bool begin(uint64_t total) override { return total <= room.size(); }
  bool write(const void* data, size_t count) override {
    std::memcpy(room.data() + bytes, data, count);
    bytes += count;
    return true;
  }
  uint64_t size() const override { return bytes; }
  bool read_at(uint64_t offset, void* out, size_t count) override {
    std::memcpy(out, room.data() + offset, count);
    return true;
  }
  std::span<std::byte> room;
  size_t bytes = 0;
};

bool refused(const char* where, const Status& status) {
  Line() << "refused " << where << ": " << status.message();
  return false;
}

Cost largest(const Cost& a, const Cost& b) {
  return {a.stack_bytes > b.stack_bytes ? a.stack_bytes : b.stack_bytes,
          a.instructions > b.instructions ? a.instructions : b.instructions};
}

}  // namespace

bool train(std::span<const std::byte> bytes, int steps) {
  // The session's memory ends where the device's does: what is written behind it faults.
  BlockAllocator beside(memory().data(), memory().size());
  SessionOptions options{.backend = BackendChoice::reference, .allocator = beside.allocator()};
  Plan plan;
  begin_cost();
  Status status = Plan::from_memory(bytes, "plan", &plan);
  Cost load = end_cost();
  if (!status) return refused("plan", status);

  size_t session_bytes = 0;
  status = Session::required_bytes(plan, options, &session_bytes);
  if (!status) return refused("session", status);
  if (session_bytes > memory().size()) {
    Line() << "refused session: needs " << session_bytes << " bytes of " << memory().size();
    return false;
  }
  options.memory = memory().last(session_bytes);
  beside = BlockAllocator(memory().data(), memory().size() - session_bytes);
  std::unique_ptr<Session> session;
  begin_cost();
  status = Session::create(plan, options, &session);
  load = largest(load, end_cost());
  if (!status) return refused("session", status);

  Numbers numbers(*session);
  std::unique_ptr<Trainer> trainer;
  TrainOptions training{.epochs = int64_t{steps}, .steps = steps};
  training.schedule.base = 0.01;
  begin_cost();
  status = Trainer::create(*session, numbers, training, &trainer);
  load = largest(load, end_cost());
  if (!status) return refused("trainer", status);

  Cost step;
  while (!trainer->done()) {
    begin_cost();
    status = trainer->step();
    step = largest(step, end_cost());
    if (!status) return refused("step", status);
    const uint64_t loss = bits_of(trainer->progress().last_loss);
    (Line() << "loss " << static_cast<uint64_t>(trainer->progress().step) << " ").hash(loss);
  }
  const uint64_t state = hash64(session->state());
  (Line() << "state ").hash(state);
  Evaluation evaluation;
  status = evaluate(*session, numbers, &evaluation);
  if (!status) return refused("evaluate", status);
  (Line() << "evaluated ").hash(bits_of(evaluation.loss));

  Kept checkpoint(
      memory().subspan(beside.used_bytes(), memory().size() - session_bytes - beside.used_bytes()));
  const CheckpointInfo info{trainer->options(), trainer->progress(), numbers.size()};
  status = save_checkpoint(checkpoint, "checkpoint", *session, info);
  if (!status) return refused("checkpoint", status);
  (Line() << "checkpoint ").hash(hash64(checkpoint.room.first(checkpoint.bytes)));
  session->reset_state();
  status = load_checkpoint(checkpoint, "checkpoint", *session, nullptr);
  if (!status) return refused("checkpoint", status);
  if (hash64(session->state()) != state)
    return refused("checkpoint", Status::error("%s", "it brings back another state"));

  const MemoryReport report = session->memory();
  Line() << "bytes state " << report.state << " arena " << report.arena << " workspace "
         << report.workspace << " session " << report.session << " trainer " << beside.used_bytes();
  Line() << "stack load " << load.stack_bytes << " step " << step.stack_bytes;
  Line() << "instructions load " << load.instructions << " step " << step.instructions;
  return true;
}

}  // namespace attune::device
