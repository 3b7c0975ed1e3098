#pragma once

namespace attune {

// The `attune` command: what `main` of a program does that is the command with operators of its
// user's own, once it has registered them (graph/rules/custom.h). Returns the exit status; no
// exception leaves it.
int attune_main(int argc, char** argv);

}  // namespace attune
