#include "cli/interrupt.h"

#include <signal.h>

namespace attune::cli {
namespace {

volatile sig_atomic_t mark = 0;

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int) { mark = 1; };
  action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  const int signals[] = {SIGINT, SIGTERM};
  for (int signal : signals) {
    struct sigaction before = {};
    // What the caller ignores stays ignored (nohup, background jobs).
    if (sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
      sigaction(signal, &action, nullptr);
  }
}

bool interrupted() { return mark != 0; }

}  // namespace attune::cli
