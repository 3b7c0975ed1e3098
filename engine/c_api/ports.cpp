#include "engine/c_api/objects.h"

using namespace attune;
using namespace attune::c_api;

namespace {

void fill(const SessionPort& port, attune_port* out) {
  attune_port p = {};
  p.name = port.name.data();  // of the plan, where a NUL follows it
  p.data = port.tensor.data;
  p.bytes = port.tensor.bytes();
  p.role = static_cast<attune_role>(port.role);
  p.dtype = static_cast<attune_dtype>(port.tensor.dtype);
  p.limit = port.limit;
  p.rank = port.tensor.shape.rank;
  for (int i = 0; i < p.rank; ++i) p.shape[i] = port.tensor.shape[i];
  write(out, p);
}

static_assert(ATTUNE_MAX_RANK == kMaxRank);
static_assert(ATTUNE_ROLE_ADVANTAGE == static_cast<int>(PortRole::advantage));
static_assert(kPortRoleCount == ATTUNE_ROLE_ADVANTAGE + 1);
static_assert(ATTUNE_MASK == static_cast<int>(DType::mask) && kDTypeCount == ATTUNE_MASK + 1);
static_assert(ATTUNE_ESTIMATE == static_cast<int>(ProgramKind::estimate));

// The names of a program's ports, for a message: "'input', 'labels'".
struct Names {
  char text[400] = "";
  Names(const Session& session, ProgramKind kind) {
    size_t used = 0;
    for (int i = 0; i < session.port_count(kind); ++i) {
      const std::string_view name = session.port(kind, i).name;
      if (used + name.size() + 8 > sizeof(text)) {
        std::memcpy(text + used, ", ...", 6);
        return;
      }
      if (used > 0) text[used++] = ',', text[used++] = ' ';
      text[used++] = '\'';
      std::memcpy(text + used, name.data(), name.size());
      used += name.size();
      text[used++] = '\'';
      text[used] = '\0';
    }
  }
};

}  // namespace

int32_t attune_session_port_count(const attune_session* session, attune_program program) {
  ProgramKind kind;
  if (!session || program_of(program, &kind, nullptr) != ATTUNE_OK) return 0;
  return session->session->port_count(kind);
}

attune_status attune_session_port(const attune_session* session, attune_program program,
                                  int32_t index, attune_port* port, attune_error* error) {
  ATTUNE_C_NEED(attune_session_port, session);
  ATTUNE_C_NEED(attune_session_port, port);
  ATTUNE_C_RETURN_IF_ERROR(check_struct(port, "attune_port", error));
  ProgramKind kind;
  ATTUNE_C_RETURN_IF_ERROR(program_of(session, program, &kind, error));
  const SessionPort found = session->session->port(kind, index);
  if (!found)
    return fail(error, ATTUNE_ERROR_NOT_FOUND, "%s: %s has ports 0 .. %d, and no %d",
                session->plan->plan.name(), program_name(kind),
                session->session->port_count(kind) - 1, static_cast<int>(index));
  fill(found, port);
  return succeed(error);
}

attune_status attune_session_port_by_name(const attune_session* session, attune_program program,
                                          const char* name, attune_port* port,
                                          attune_error* error) {
  ATTUNE_C_NEED(attune_session_port_by_name, session);
  ATTUNE_C_NEED(attune_session_port_by_name, name);
  ATTUNE_C_NEED(attune_session_port_by_name, port);
  ATTUNE_C_RETURN_IF_ERROR(check_struct(port, "attune_port", error));
  ProgramKind kind;
  ATTUNE_C_RETURN_IF_ERROR(program_of(session, program, &kind, error));
  for (int i = 0; i < session->session->port_count(kind); ++i)
    if (const SessionPort found = session->session->port(kind, i); found.name == name) {
      fill(found, port);
      return succeed(error);
    }
  return fail(error, ATTUNE_ERROR_NOT_FOUND, "%s: %s has no port '%.100s'; it has %s",
              session->plan->plan.name(), program_name(kind), name,
              Names(*session->session, kind).text);
}

attune_status attune_session_port_by_role(const attune_session* session, attune_program program,
                                          attune_role role, int32_t index, attune_port* port,
                                          attune_error* error) {
  ATTUNE_C_NEED(attune_session_port_by_role, session);
  ATTUNE_C_NEED(attune_session_port_by_role, port);
  ATTUNE_C_RETURN_IF_ERROR(check_struct(port, "attune_port", error));
  ProgramKind kind;
  ATTUNE_C_RETURN_IF_ERROR(program_of(session, program, &kind, error));
  if (role < 0 || role >= kPortRoleCount)
    return fail(error, ATTUNE_ERROR_ARGUMENT, "there is no role %d; give 0 .. %d",
                static_cast<int>(role), kPortRoleCount - 1);
  const auto own = static_cast<PortRole>(role);
  const SessionPort found = index < 0 ? SessionPort{} : session->session->port(kind, own, index);
  if (!found)
    return fail(error, ATTUNE_ERROR_NOT_FOUND,
                "%s: %s has no port number %d of the role %s; it has %s",
                session->plan->plan.name(), program_name(kind), static_cast<int>(index),
                role_name(own), Names(*session->session, kind).text);
  fill(found, port);
  return succeed(error);
}
