#include "attune/checkpoint.h"
#include "attune/parameters.h"
#include "engine/c_api/objects.h"
#include "engine/c_api/stream.h"

using namespace attune;
using namespace attune::c_api;

namespace attune::c_api {

attune_status CallersSource::read(const attune_source* given, CallersSource* own,
                                  attune_error* error) {
  ATTUNE_C_RETURN_IF_ERROR(c_api::read(given, &own->source_, "attune_source", error));
  if (!own->source_.read) return fail(error, ATTUNE_ERROR_ARGUMENT, "attune_source: read is NULL");
  return ATTUNE_OK;
}

attune_status CallersSink::read(const attune_sink* given, CallersSink* own, attune_error* error) {
  ATTUNE_C_RETURN_IF_ERROR(c_api::read(given, &own->sink_, "attune_sink", error));
  if (!own->sink_.write) return fail(error, ATTUNE_ERROR_ARGUMENT, "attune_sink: write is NULL");
  return ATTUNE_OK;
}

}  // namespace attune::c_api

namespace {

attune_checkpoint_info described(const CheckpointInfo& info) {
  attune_checkpoint_info i = {};
  i.finished = is_finished(info);
  i.keeps_best = info.keep_best;
  i.step = info.progress.step;
  i.epoch = info.progress.epoch;
  i.dataset_size = info.dataset_size;
  i.best_epoch = info.best.epoch;
  i.best_step = info.best.step;
  i.best_loss = info.best.loss;
  i.best_accuracy = info.best.accuracy;
  return i;
}

attune_status check_info(const attune_checkpoint_info* info, attune_error* error) {
  return info ? check_struct(info, "attune_checkpoint_info", error) : attune_status{ATTUNE_OK};
}

// What `load` gives to `info`, where it is wanted.
template <class Load>
attune_status load(attune_session* session, attune_checkpoint_info* info, attune_error* error,
                   Load&& load) {
  ATTUNE_C_RETURN_IF_ERROR(check_info(info, error));
  CheckpointInfo read;
  ATTUNE_C_RETURN_IF_ERROR(told(error, load(*session->session, &read), ATTUNE_ERROR_CHECKPOINT));
  if (info) {
    attune_checkpoint_info i = described(read);
    i.fits = i.same_model = i.optimizer_state = 1;
    i.parameters = parameter_count(session->plan->plan);
    write(info, i);
  }
  return succeed(error);
}

template <class Start>
attune_status start(attune_session* session, attune_checkpoint_info* info, attune_error* error,
                    Start&& start) {
  ATTUNE_C_RETURN_IF_ERROR(check_info(info, error));
  WarmStart taken;
  ATTUNE_C_RETURN_IF_ERROR(told(error, start(*session->session, &taken), ATTUNE_ERROR_CHECKPOINT));
  if (info) {
    attune_checkpoint_info i = described(taken.info);
    i.same_model = 1;
    i.fits = i.optimizer_state = taken.optimizer_state;
    i.earlier_steps = taken.earlier_steps;
    i.parameters = taken.parameters;
    i.fresh = taken.fresh;
    write(info, i);
  }
  return succeed(error);
}

template <class Examine>
attune_status examine(const attune_plan* plan, attune_checkpoint_info* info, attune_error* error,
                      Examine&& examine) {
  ATTUNE_C_RETURN_IF_ERROR(check_info(info, error));
  CheckpointFacts facts;
  ATTUNE_C_RETURN_IF_ERROR(told(error, examine(plan->plan, &facts), ATTUNE_ERROR_CHECKPOINT));
  attune_checkpoint_info i = described(facts.info);
  i.fits = facts.fits;
  i.same_model = facts.same_model;
  write(info, i);
  return succeed(error);
}

}  // namespace

attune_status attune_session_save(const attune_session* session, const char* path,
                                  attune_error* error) {
  ATTUNE_C_NEED(attune_session_save, session);
  ATTUNE_C_NEED(attune_session_save, path);
  return told(error, save_checkpoint(path, *session->session, {}), ATTUNE_ERROR_CHECKPOINT);
}

attune_status attune_session_write(const attune_session* session, const attune_sink* sink,
                                   attune_error* error) {
  ATTUNE_C_NEED(attune_session_write, session);
  ATTUNE_C_NEED(attune_session_write, sink);
  CallersSink own;
  ATTUNE_C_RETURN_IF_ERROR(CallersSink::read(sink, &own, error));
  return told(error, save_checkpoint(own, own.name(), *session->session, {}),
              ATTUNE_ERROR_CHECKPOINT);
}

attune_status attune_session_load(attune_session* session, const char* path,
                                  attune_checkpoint_info* info, attune_error* error) {
  ATTUNE_C_NEED(attune_session_load, session);
  ATTUNE_C_NEED(attune_session_load, path);
  return load(session, info, error,
              [&](Session& to, CheckpointInfo* read) { return load_checkpoint(path, to, read); });
}

attune_status attune_session_read(attune_session* session, const attune_source* source,
                                  attune_checkpoint_info* info, attune_error* error) {
  ATTUNE_C_NEED(attune_session_read, session);
  ATTUNE_C_NEED(attune_session_read, source);
  CallersSource own;
  ATTUNE_C_RETURN_IF_ERROR(CallersSource::read(source, &own, error));
  return load(session, info, error, [&](Session& to, CheckpointInfo* read) {
    return load_checkpoint(own, own.name(), to, read);
  });
}

attune_status attune_session_start_from(attune_session* session, const char* path,
                                        attune_checkpoint_info* info, attune_error* error) {
  ATTUNE_C_NEED(attune_session_start_from, session);
  ATTUNE_C_NEED(attune_session_start_from, path);
  return start(session, info, error, [&](Session& to, WarmStart* taken) {
    return start_from_checkpoint(path, to, taken);
  });
}

attune_status attune_session_start_from_source(attune_session* session, const attune_source* source,
                                               attune_checkpoint_info* info, attune_error* error) {
  ATTUNE_C_NEED(attune_session_start_from_source, session);
  ATTUNE_C_NEED(attune_session_start_from_source, source);
  CallersSource own;
  ATTUNE_C_RETURN_IF_ERROR(CallersSource::read(source, &own, error));
  return start(session, info, error, [&](Session& to, WarmStart* taken) {
    return start_from_checkpoint(own, own.name(), to, taken);
  });
}

attune_status attune_plan_examine(const attune_plan* plan, const char* path,
                                  attune_checkpoint_info* info, attune_error* error) {
  ATTUNE_C_NEED(attune_plan_examine, plan);
  ATTUNE_C_NEED(attune_plan_examine, path);
  ATTUNE_C_NEED(attune_plan_examine, info);
  return examine(plan, info, error, [&](const Plan& of, CheckpointFacts* facts) {
    return examine_checkpoint(path, of, facts);
  });
}

attune_status attune_plan_examine_source(const attune_plan* plan, const attune_source* source,
                                         attune_checkpoint_info* info, attune_error* error) {
  ATTUNE_C_NEED(attune_plan_examine_source, plan);
  ATTUNE_C_NEED(attune_plan_examine_source, source);
  ATTUNE_C_NEED(attune_plan_examine_source, info);
  CallersSource own;
  ATTUNE_C_RETURN_IF_ERROR(CallersSource::read(source, &own, error));
  return examine(plan, info, error, [&](const Plan& of, CheckpointFacts* facts) {
    return examine_checkpoint(own, own.name(), of, facts);
  });
}
