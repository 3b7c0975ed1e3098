#include "attune/parameters.h"

#include "engine/c_api/objects.h"

using namespace attune;
using namespace attune::c_api;

namespace {

constexpr unsigned kRoom = sizeof(attune_parameter::shape) / sizeof(int64_t);

attune_status fill(const ParameterInfo& info, const char* plan, attune_parameter* out,
                   attune_error* error) {
  if (info.shape.size() > kRoom)
    return fail(error, ATTUNE_ERROR_PLAN, "%s: '%s' has %zu axes, of %u at most", plan,
                info.name.data(), info.shape.size(), kRoom);
  attune_parameter p = {};
  p.name = info.name.data();  // of the plan, where a NUL follows it
  p.bytes = info.bytes();
  p.elements = info.elements;
  p.trained = info.trained;
  p.slice = info.slice.empty() ? nullptr : info.slice.data();
  p.slice_count = static_cast<int32_t>(info.slice.size());
  p.slice_axis = info.slice_axis;
  p.dtype = static_cast<attune_dtype>(info.dtype);
  p.head = info.head;
  p.statistic = info.statistic;
  p.has_gradient = info.has_gradient;
  p.slots = info.slots;
  p.rank = static_cast<int32_t>(info.shape.size());
  for (size_t i = 0; i < info.shape.size(); ++i) p.shape[i] = info.shape[i];
  write(out, p);
  return succeed(error);
}

attune_status find(const attune_session* session, const char* name, int* index,
                   attune_error* error) {
  return told(error, find_parameter(session->plan->plan, name, index), ATTUNE_ERROR_NOT_FOUND);
}

// That `bytes` are those of the parameter, and that the optimizer has the slot.
attune_status check(const attune_session* session, int index, const char* slot, size_t bytes,
                    attune_error* error) {
  const Plan& plan = session->plan->plan;
  const ParameterInfo info = parameter(plan, index);
  if (bytes != info.bytes())
    return fail(error, ATTUNE_ERROR_ARGUMENT, "%s: '%.200s' has %zu bytes, and %zu were given",
                plan.name(), info.name.data(), info.bytes(), bytes);
  if (!slot || slot == kValueSlot) return ATTUNE_OK;
  for (int i = 0; i < info.slots; ++i)
    if (optimizer_slot(plan, index, i) == slot) return ATTUNE_OK;
  return fail(error, ATTUNE_ERROR_NOT_FOUND,
              "%s: the optimizer keeps no '%.40s' for '%.200s'; ask attune_session_optimizer_slot",
              plan.name(), slot, info.name.data());
}

std::string_view slot_of(const char* slot) { return slot ? std::string_view(slot) : kValueSlot; }

}  // namespace

attune_status attune_session_parameter(const attune_session* session, int32_t index,
                                       attune_parameter* out, attune_error* error) {
  ATTUNE_C_NEED(attune_session_parameter, session);
  ATTUNE_C_NEED(attune_session_parameter, out);
  ATTUNE_C_RETURN_IF_ERROR(check_struct(out, "attune_parameter", error));
  const Plan& plan = session->plan->plan;
  if (index < 0 || index >= parameter_count(plan))
    return fail(error, ATTUNE_ERROR_NOT_FOUND, "%s: it has %d parameters, and no number %d",
                plan.name(), parameter_count(plan), index);
  return fill(parameter(plan, index), plan.name(), out, error);
}

attune_status attune_session_parameter_by_name(const attune_session* session, const char* name,
                                               attune_parameter* out, attune_error* error) {
  ATTUNE_C_NEED(attune_session_parameter_by_name, session);
  ATTUNE_C_NEED(attune_session_parameter_by_name, name);
  ATTUNE_C_NEED(attune_session_parameter_by_name, out);
  ATTUNE_C_RETURN_IF_ERROR(check_struct(out, "attune_parameter", error));
  int index = 0;
  ATTUNE_C_RETURN_IF_ERROR(find(session, name, &index, error));
  return fill(parameter(session->plan->plan, index), session->plan->plan.name(), out, error);
}

const char* attune_session_optimizer_slot(const attune_session* session, const char* name,
                                          int32_t slot) {
  int index = 0;
  if (!session || !name || slot < 0 || !find_parameter(session->plan->plan, name, &index))
    return nullptr;
  const Plan& plan = session->plan->plan;
  return slot < parameter(plan, index).slots ? optimizer_slot(plan, index, slot).data() : nullptr;
}

attune_status attune_session_get_parameter(const attune_session* session, const char* name,
                                           const char* slot, void* values, size_t bytes,
                                           attune_error* error) {
  ATTUNE_C_NEED(attune_session_get_parameter, session);
  ATTUNE_C_NEED(attune_session_get_parameter, name);
  ATTUNE_C_NEED(attune_session_get_parameter, values);
  int index = 0;
  ATTUNE_C_RETURN_IF_ERROR(find(session, name, &index, error));
  ATTUNE_C_RETURN_IF_ERROR(check(session, index, slot, bytes, error));
  return told(error,
              get_parameter(*session->session, index, bytes_of(values, bytes), slot_of(slot)),
              ATTUNE_ERROR_ARGUMENT);
}

attune_status attune_session_set_parameter(attune_session* session, const char* name,
                                           const char* slot, const void* values, size_t bytes,
                                           attune_error* error) {
  ATTUNE_C_NEED(attune_session_set_parameter, session);
  ATTUNE_C_NEED(attune_session_set_parameter, name);
  ATTUNE_C_NEED(attune_session_set_parameter, values);
  int index = 0;
  ATTUNE_C_RETURN_IF_ERROR(find(session, name, &index, error));
  ATTUNE_C_RETURN_IF_ERROR(check(session, index, slot, bytes, error));
  return told(error,
              set_parameter(*session->session, index, bytes_of(values, bytes), slot_of(slot)),
              ATTUNE_ERROR_ARGUMENT);
}

attune_status attune_session_get_gradient(const attune_session* session, const char* name,
                                          void* values, size_t bytes, attune_error* error) {
  ATTUNE_C_NEED(attune_session_get_gradient, session);
  ATTUNE_C_NEED(attune_session_get_gradient, name);
  ATTUNE_C_NEED(attune_session_get_gradient, values);
  int index = 0;
  ATTUNE_C_RETURN_IF_ERROR(find(session, name, &index, error));
  ATTUNE_C_RETURN_IF_ERROR(check(session, index, nullptr, bytes, error));
  const bool kept = parameter(session->plan->plan, index).has_gradient;
  return told(error, get_gradient(*session->session, index, bytes_of(values, bytes)),
              kept ? ATTUNE_ERROR_ARGUMENT : ATTUNE_ERROR_NOT_FOUND);
}
