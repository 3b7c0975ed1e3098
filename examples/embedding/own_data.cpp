// A program that trains on data of its own: own_data PLAN [CHECKPOINT]. Its examples are four
// numbers each, of class 1 where the first two add up to more than the last two.
#include <attune/attune.hpp>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace {

class Readings : public attune::Dataset {
 public:
  Readings() {
    uint32_t random = 1;
    for (auto& reading : readings_)
      for (float& value : reading) {
        random = random * 1664525 + 1013904223;
        value = static_cast<float>(random >> 8) / (1 << 23) - 1;
      }
  }
  int64_t size() const override { return kCount; }
  bool labelled() const override { return true; }
  attune::Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    const float* x = readings_[index];
    const int32_t label = x[0] + x[1] > x[2] + x[3];
    const bool target = field == attune::kTargetField;
    if (bytes.size() != (target ? sizeof(label) : sizeof(readings_[0])))
      return attune::Status::error("the plan is none for four numbers and a class");
    std::memcpy(bytes.data(), target ? static_cast<const void*>(&label) : x, bytes.size());
    return attune::Status::ok();
  }
  std::string_view describe(int64_t) override { return "a reading"; }

 private:
  static constexpr int kCount = 200;
  float readings_[kCount][4];
};

attune::Status run(const char* path, const char* checkpoint) {
  attune::Plan plan;
  ATTUNE_RETURN_IF_ERROR(attune::Plan::load(path, &plan));
  std::unique_ptr<attune::Session> session;
  ATTUNE_RETURN_IF_ERROR(attune::Session::create(plan, {.threads = 2}, &session));
  Readings data;
  attune::Evaluation before, after;
  ATTUNE_RETURN_IF_ERROR(attune::evaluate(*session, data, &before));

  attune::TrainOptions options{.epochs = 30};
  options.schedule.base = 0.05;
  std::unique_ptr<attune::Trainer> trainer;
  ATTUNE_RETURN_IF_ERROR(attune::Trainer::create(*session, data, options, &trainer));
  while (!trainer->done()) ATTUNE_RETURN_IF_ERROR(trainer->step());

  ATTUNE_RETURN_IF_ERROR(attune::evaluate(*session, data, &after));
  std::printf("accuracy %.1f %% before, %.1f %% after %lld steps; %zu bytes of memory\n",
              100 * before.accuracy, 100 * after.accuracy,
              static_cast<long long>(trainer->progress().step), session->memory().ram());
  if (checkpoint == nullptr) return attune::Status::ok();
  return attune::save_checkpoint(checkpoint, *session,
                                 {trainer->options(), trainer->progress(), data.size()});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "own_data PLAN [CHECKPOINT]\n");
    return 2;
  }
  const attune::Status status = run(argv[1], argc > 2 ? argv[2] : nullptr);
  if (!status) std::fprintf(stderr, "%s\n", status.message());
  return status ? 0 : 1;
}
