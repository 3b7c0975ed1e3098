#pragma once

namespace attune::cli {

// From here on Ctrl-C (SIGINT) and SIGTERM only set a mark, the first time; the second time they
// end the program as usual.
void catch_interrupts();
bool interrupted();

}  // namespace attune::cli
