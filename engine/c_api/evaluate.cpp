#include <algorithm>

#include "attune/statistics.h"
#include "attune/trainer.h"
#include "engine/c_api/dataset.h"
#include "engine/c_api/objects.h"
#include "engine/c_api/watch.h"

using namespace attune;
using namespace attune::c_api;

namespace {

int32_t ask_in_time(void* context) {
  const auto& watch = *static_cast<const Watch*>(context);
  const int32_t asked = watch.ask();
  if (asked != ATTUNE_RUNNING) return asked;
  return watch.has_time_for(0) ? ATTUNE_RUNNING : ATTUNE_OUT_OF_TIME;
}

// What went wrong over a data set, under a MemoryWatch.
attune_status told_of(const CallersDataset& data, const Status& status, attune_error* error) {
  if (status) return succeed(error);
  if (data.stopped() != ATTUNE_RUNNING)
    return fail(error, ATTUNE_ERROR_STOPPED, "%s",
                data.stopped() == ATTUNE_OUT_OF_TIME
                    ? "the time budget was over before there was a result"
                    : "should_continue ended the call before there was a result");
  return told(error, status,
              data.failed()          ? ATTUNE_ERROR_DATA
              : memory_was_refused() ? ATTUNE_ERROR_MEMORY
                                     : ATTUNE_ERROR_RUN);
}

// The port whose values predict gives: probabilities of a classifier, else the first output.
SessionPort output_port(const Session& session, const char* name) {
  for (int i = 0; i < session.port_count(ProgramKind::predict); ++i) {
    const SessionPort port = session.port(ProgramKind::predict, i);
    if (!is_fed(port.role) && port.name == (name ? name : "probabilities")) return port;
  }
  return name ? SessionPort{} : session.port(ProgramKind::predict, PortRole::output);
}

// The bytes of an example of a port; 0 where it does not have one for each of the batch.
size_t example_bytes(const SessionPort& port, int64_t batch) {
  const Tensor& tensor = port.tensor;
  const bool by_example =
      tensor && tensor.shape.rank > 0 && tensor.shape[0] == batch && tensor.dtype != DType::mask;
  return by_example ? tensor.bytes() / static_cast<size_t>(batch) : 0;
}

}  // namespace

attune_status attune_session_evaluate(attune_session* session, const attune_dataset* given,
                                      const attune_control* given_control,
                                      attune_evaluation* evaluation, attune_error* error) {
  ATTUNE_C_NEED(attune_session_evaluate, session);
  ATTUNE_C_NEED(attune_session_evaluate, given);
  ATTUNE_C_NEED(attune_session_evaluate, evaluation);
  ATTUNE_C_RETURN_IF_ERROR(check_struct(evaluation, "attune_evaluation", error));
  ProgramKind kind;
  ATTUNE_C_RETURN_IF_ERROR(program_of(session, ATTUNE_EVALUATE, &kind, error));
  attune_dataset own;
  attune_control control;
  ATTUNE_C_RETURN_IF_ERROR(read_dataset(given, &own, error));
  ATTUNE_C_RETURN_IF_ERROR(read_control(given_control, &control, error));
  Watch watch;
  ATTUNE_C_RETURN_IF_ERROR(Watch::start(control, session->clock, &watch, error));
  CallersDataset data(own, session->session.get(), kind);
  data.ask(ask_in_time, &watch);
  Evaluation measured;
  const MemoryWatch memory;
  ATTUNE_C_RETURN_IF_ERROR(told_of(data, evaluate(*session->session, data, &measured), error));
  attune_evaluation e = {};
  e.loss = measured.loss;
  e.accuracy = measured.accuracy;
  e.examples = measured.examples;
  write(evaluation, e);
  return succeed(error);
}

attune_status attune_session_estimate_statistics(attune_session* session,
                                                 const attune_dataset* given, uint64_t seed,
                                                 attune_error* error) {
  ATTUNE_C_NEED(attune_session_estimate_statistics, session);
  ATTUNE_C_NEED(attune_session_estimate_statistics, given);
  ProgramKind kind;
  ATTUNE_C_RETURN_IF_ERROR(program_of(session, ATTUNE_ESTIMATE, &kind, error));
  attune_dataset own;
  ATTUNE_C_RETURN_IF_ERROR(read_dataset(given, &own, error));
  CallersDataset data(own, session->session.get(), kind);
  const MemoryWatch memory;
  return told_of(data, estimate_statistics(*session->session, data, seed), error);
}

attune_status attune_session_predict(attune_session* session, const attune_array* inputs,
                                     int32_t input_count, int64_t count, const char* output,
                                     void* values, size_t value_bytes, attune_error* error) {
  ATTUNE_C_NEED(attune_session_predict, session);
  ATTUNE_C_NEED(attune_session_predict, inputs);
  ATTUNE_C_NEED(attune_session_predict, values);
  constexpr ProgramKind kKind = ProgramKind::predict;
  ProgramKind kind;
  ATTUNE_C_RETURN_IF_ERROR(program_of(session, ATTUNE_PREDICT, &kind, error));
  Session& s = *session->session;
  const char* const plan = session->plan->plan.name();
  const int64_t batch = s.batch(kKind);
  int wanted = 0;
  while (s.port(kKind, PortRole::input, wanted)) ++wanted;
  if (input_count != wanted)
    return fail(error, ATTUNE_ERROR_ARGUMENT, "%s: the model has %d inputs, and %d were given",
                plan, wanted, static_cast<int>(input_count));
  if (count < 1)
    return fail(error, ATTUNE_ERROR_ARGUMENT, "%s: %lld examples; give at least one", plan,
                static_cast<long long>(count));
  // Whether `bytes` are those of all examples, each of `one`.
  const auto fits = [&](size_t bytes, size_t one) {
    return one > 0 && bytes % one == 0 && bytes / one == static_cast<uint64_t>(count);
  };
  for (int32_t i = 0; i < wanted; ++i) {
    const SessionPort port = s.port(kKind, PortRole::input, i);
    if (!inputs[i].data || !fits(inputs[i].bytes, example_bytes(port, batch)))
      return fail(error, ATTUNE_ERROR_ARGUMENT,
                  "%s: input '%s' takes %zu bytes for each of %lld examples, and %zu were given",
                  plan, port.name.data(), example_bytes(port, batch), static_cast<long long>(count),
                  inputs[i].data ? inputs[i].bytes : 0);
  }
  const SessionPort made = output_port(s, output);
  if (!made)
    return fail(error, ATTUNE_ERROR_NOT_FOUND, "%s: predict has no output '%.100s'", plan,
                output ? output : "");
  const size_t made_bytes = example_bytes(made, batch);
  if (!fits(value_bytes, made_bytes))
    return fail(
        error, ATTUNE_ERROR_ARGUMENT,
        "%s: output '%s' has %zu bytes for each of %lld examples, and room for %zu was given", plan,
        made.name.data(), made_bytes, static_cast<long long>(count), value_bytes);

  for (int64_t first = 0; first < count; first += batch) {
    const auto at = static_cast<size_t>(first);
    const auto now = static_cast<size_t>(std::min(batch, count - first));
    for (int32_t i = 0; i < wanted; ++i) {
      const SessionPort port = s.port(kKind, PortRole::input, i);
      const size_t one = example_bytes(port, batch);
      auto* to = port.tensor.as<std::byte>();
      std::memcpy(to, static_cast<const std::byte*>(inputs[i].data) + at * one, now * one);
      std::memset(to + now * one, 0, port.tensor.bytes() - now * one);
    }
    ATTUNE_C_RETURN_IF_ERROR(told(error, s.run(kKind), ATTUNE_ERROR_DATA));
    std::memcpy(static_cast<std::byte*>(values) + at * made_bytes, made.tensor.data,
                now * made_bytes);
  }
  return succeed(error);
}
