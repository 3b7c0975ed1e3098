#pragma once

namespace attune::cli {

// From the start: who is ended by Ctrl-C (SIGINT), SIGTERM or SIGHUP leaves no temporary file.
void clean_up_on_signals();
// From here on Ctrl-C (SIGINT), SIGTERM, SIGHUP (the terminal has gone) and SIGPIPE (the reader of
// an output has) only set a mark. The second SIGINT or SIGTERM ends the program as usual; the
// others come twice, or beside a SIGTERM, when nobody insists. What the caller ignores stays
// ignored (nohup).
void catch_interrupts();
bool interrupted();

}  // namespace attune::cli
