// A program that makes a plan of a model: compile_model MODEL PLAN [SCHEME].
#include <attune/compiler.h>

#include <cstdio>
#include <fstream>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "compile_model MODEL PLAN [SCHEME]\n");
    return 2;
  }
  attune::CompilerSettings settings;
  settings.loss = "cross_entropy";
  if (argc > 3) settings.scheme = argv[3];
  std::vector<std::byte> plan;
  if (const attune::Status status = attune::compile_model(argv[1], settings, &plan); !status) {
    std::fprintf(stderr, "%s\n", status.message());
    return 1;
  }
  std::ofstream file(argv[2], std::ios::binary);
  file.write(reinterpret_cast<const char*>(plan.data()), static_cast<std::streamsize>(plan.size()));
  std::printf("%s: %zu bytes\n", argv[2], plan.size());
  return file.flush() ? 0 : 1;
}
