#include "cli/attune_main.h"

int main(int argc, char** argv) { return attune::attune_main(argc, argv); }
