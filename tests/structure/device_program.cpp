// A whole device program: nothing but the device library is linked, so a symbol that it needs from
// the host side is a link error.
#include <cstdio>

#include "attune/checkpoint.h"
#include "attune/trainer.h"

int main(int argc, char** argv) {
  attune::Plan plan;
  const attune::Status status = attune::Plan::load(argc > 1 ? argv[1] : "/dev/null", &plan);
  std::unique_ptr<attune::Session> session;
  if (status && attune::Session::create(plan, {}, &session) && argc > 2)
    return attune::load_checkpoint(argv[2], *session, nullptr) ? 0 : 1;
  std::puts(status.message());
  return status ? 0 : 2;
}
