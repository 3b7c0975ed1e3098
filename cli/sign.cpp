#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "attune/plan.h"
#include "cli/common.h"
#include "cli/output_file.h"
#include "cli/signature_keys.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "engine/io/file.h"
#include "sparse_update/pipeline/compile.h"
#include "sparse_update/pipeline/write_file.h"

#ifdef ATTUNE_SIGNATURES
#include "attune/signature.h"
#endif

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  attune sign --new-key mine
  attune sign flowers.att flowers.atc --key mine.secret --counter 7
  attune predict flowers.att --checkpoint flowers.atc rose.jpg --require-signature mine.public
      --rollback-guard taken.txt

Signs plans and checkpoints with Ed25519, each in a file of its own beside it, FILE.sig. Who loads them
with --require-signature takes none that was changed or made by others, and with --rollback-guard none
with a lower number than one taken before. Keep the .secret file to yourself.)";

struct Options {
  std::vector<std::string> files;
  std::string new_key, key;
  uint64_t counter = 1;
  OutputOptions output;
};

#ifdef ATTUNE_SIGNATURES

// A new file that only its owner may read.
void write_secret(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) throw_error("{}: cannot be made: {}", path, std::strerror(errno));
  const bool written =
      ::write(file, text.data(), text.size()) == std::ssize(text) && ::fsync(file) == 0;
  if (::close(file) != 0 || !written) {
    ::unlink(path.c_str());
    throw_error("{}: cannot be written: {}", path, std::strerror(errno));
  }
}

bool is_signature_file(const std::string& path) { return file_starts_with(path, "ATTUNESG"); }

void make_key_files(const std::string& name, Json* made) {
  std::byte public_key[kPublicKeyBytes], secret_key[kSecretKeyBytes];
  throw_if_error(make_keys(public_key, secret_key));
  for (const char* ending : {".secret", ".public"})
    if (std::filesystem::exists(name + ending))
      throw_error("{}{}: exists; a key is not replaced, choose another name", name, ending);
  write_secret(name + ".secret", hex_of(secret_key) + "\n");
  write_text(name + ".public", hex_of(public_key) + "\n");
  (*made)["secret"] = name + ".secret";
  (*made)["public"] = name + ".public";
}

std::string sign_file(const std::string& path, const std::vector<std::byte>& key,
                      uint64_t counter) {
  std::vector<std::byte> bytes;
  throw_if_error(read_file(path, {}, &bytes));
  const bool checkpoint = file_starts_with(path, "ATTUNECK");
  if (!checkpoint && !is_plan_file(path))
    throw_error("{}: is neither a plan nor a checkpoint; only these are signed", path);
  SignatureFile signature;
  throw_if_error(sign(bytes, checkpoint ? SignedKind::checkpoint : SignedKind::plan, counter,
                      SecretKey(key.data(), kSecretKeyBytes), &signature));
  const std::string out = path + ".sig";
  check_replaceable(out, "a signature", ".sig", is_signature_file);
  write_file(out, std::as_bytes(std::span(&signature, 1)));
  return out;
}

int run(const Options& options) {
  if (options.new_key.empty() == options.files.empty())
    throw_error("attune sign: give files and --key, or --new-key NAME; see attune sign --help");
  Json json = Json::object();
  if (!options.new_key.empty()) {
    make_key_files(options.new_key, &json);
  } else {
    if (options.key.empty()) throw_error("--key is missing: the .secret file to sign with");
    const std::vector<std::byte> key = read_key(options.key, kSecretKeyBytes);
    for (const std::string& file : options.files)
      json[file] = sign_file(file, key, options.counter);
  }
  if (options.output.json) {
    print_json(json);
  } else if (!options.output.quiet) {
    Table table({"", ""});
    for (const auto& [name, file] : json.items()) table.row({name, plain_cell(file)});
    print("{}", table.text());
  }
  return 0;
}

#else

int run(const Options&) {
  throw_error("attune sign: this program was built without libsodium; install it and build anew");
}

#endif

}  // namespace

Verb add_sign(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = add_verb(app, "sign", "Sign plans and checkpoints", kExamples);
  verb->add_option("files", options->files, "Plans (.att) and checkpoints (.atc)");
  verb->add_option("--key", options->key, "The .secret file to sign with");
  verb->add_option("--counter", options->counter,
                   "The number of what is signed: give each that replaces another a higher one");
  verb->add_option(
      "--new-key", options->new_key,
      "Make a pair of keys instead: NAME.secret to sign with, NAME.public to give out");
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
