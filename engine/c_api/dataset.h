#pragma once

#include "attune/dataset.h"
#include "attune/session.h"
#include "engine/c_api/call.h"

namespace attune::c_api {

// Reads what the caller's structure says, and that it is whole.
attune_status read_dataset(const attune_dataset* given, attune_dataset* own, attune_error* error);
attune_status read_control(const attune_control* given, attune_control* own, attune_error* error);

// A data set of the caller's, as the engine reads one. Remembers why reading ended, which a Status
// does not tell.
class CallersDataset : public Dataset {
 public:
  CallersDataset() = default;
  // `session` may be null; its program `kind` says which labels and ids there are.
  CallersDataset(const attune_dataset& data, const Session* session, ProgramKind kind);

  int64_t size() const override { return data_.count; }
  bool labelled() const override { return data_.labelled != 0; }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override;
  std::string_view describe(int64_t index) override;
  double weight(int64_t index) override;
  double advantage(int64_t index) override;

  // While reading, asks this before each example: null, nobody. A deadline, too, where there is
  // one.
  using Stop = int32_t (*)(void* context);  // one of ATTUNE_RUNNING ..
  void ask(Stop stop, void* context) { stop_ = stop, stop_context_ = context; }
  // Forgets why reading ended.
  void begin() { failed_ = false, stopped_ = ATTUNE_RUNNING; }
  bool failed() const { return failed_; }       // the data, or what it says of an example
  int32_t stopped() const { return stopped_; }  // why `ask` ended it

 private:
  attune_dataset data_ = {};
  const Session* session_ = nullptr;
  ProgramKind kind_ = ProgramKind::train_step;
  bool has_limits_ = false;
  Stop stop_ = nullptr;
  void* stop_context_ = nullptr;
  int64_t asked_ = -1;  // example
  bool failed_ = false;
  int32_t stopped_ = ATTUNE_RUNNING;
  char description_[40] = "";
};

}  // namespace attune::c_api
