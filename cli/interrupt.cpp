#include "cli/interrupt.h"

#include <signal.h>

#include <initializer_list>

#include "engine/platform/posix/replace_file.h"

namespace attune::cli {
namespace {

volatile sig_atomic_t saves = 0;  // as catch_interrupts has it
volatile sig_atomic_t mark = 0, asked = 0;

void end(int number) {
  remove_temporaries();
  signal(number, SIG_DFL);
  raise(number);  // once this handler has returned
}

void on_signal(int number) {
  const bool by_user = number == SIGINT || number == SIGTERM;
  if (!saves || (by_user && asked)) return end(number);
  if (by_user) asked = 1;
  mark = 1;
}

// What the caller ignores stays ignored (nohup, background jobs).
void handle(int number) {
  struct sigaction before = {}, action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  if (sigaction(number, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
    sigaction(number, &action, nullptr);
}

}  // namespace

void clean_up_on_signals() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) handle(number);
}

void catch_interrupts() {
  saves = 1;
  handle(SIGPIPE);
}

bool interrupted() { return mark != 0; }

}  // namespace attune::cli
