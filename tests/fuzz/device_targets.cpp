// What a device reads: plans, checkpoints, data.
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "attune/byte_stream.h"
#include "attune/checkpoint.h"
#include "attune/open_dataset.h"
#include "attune/session.h"
#include "engine/format/checkpoint_format.h"
#include "engine/format/plan_tensor.h"
#include "engine/io/image.h"
#include "engine/io/mfcc.h"
#include "engine/io/npy.h"
#include "engine/io/sound.h"
#include "tests/fuzz/targets.h"

namespace attune::fuzz {
namespace {

// Of what is read here; above that nothing new happens, slowly.
constexpr ReadLimits kLimits = {1 << 14, 1 << 20};
constexpr int64_t kMostExamples = 64;

// A folder in memory where there is one, removed at the end.
class Folder {
 public:
  Folder() {
    const char* parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    path_ = std::string(parent) + "/attune-fuzz-XXXXXX";
    if (!mkdtemp(path_.data())) abort();
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string write(const char* name, Input bytes) const {
    const std::string path = path_ + "/" + name;
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (!file) abort();
    if (!bytes.empty() && std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) abort();
    std::fclose(file);
    return path;
  }

 private:
  std::string path_;
};

std::string written(const char* name, Input bytes) {
  static const Folder folder;
  return folder.write(name, bytes);
}

// Memory for a plan that ends where the plan does.
class AlignedCopy {
 public:
  explicit AlignedCopy(Input bytes) : size_(bytes.size()) {
    if (posix_memalign(&memory_, kSegmentAlignment, size_) != 0) abort();
    std::memcpy(memory_, bytes.data(), size_);
  }
  ~AlignedCopy() { free(memory_); }
  AlignedCopy(const AlignedCopy&) = delete;
  AlignedCopy& operator=(const AlignedCopy&) = delete;
  std::span<std::byte> bytes() const { return {static_cast<std::byte*>(memory_), size_}; }

 private:
  void* memory_ = nullptr;
  size_t size_;
};

// Whether a plan's programs end soon: no step does more than to read all its inputs for each
// element that it makes.
bool runs_soon(const Plan& plan) {
  double work = 0;
  for (const format::Program* program : *plan.table().programs()) {
    if (program->kind() >= kProgramCount) continue;
    for (int s = 0; s < static_cast<int>(program->steps()->size()); ++s) {
      const format::Step& step = *program->steps()->Get(static_cast<unsigned>(s));
      double in = 1, out = 1;
      const auto elements = [&](int32_t id) {
        const format::Tensor& tensor = *program->tensors()->Get(static_cast<unsigned>(id));
        return static_cast<double>(described_tensor(tensor).shape.elements());
      };
      for (const int32_t id : list_of(step.inputs())) in += id < 0 ? 0 : elements(id);
      for (const int32_t id : list_of(step.outputs())) out += id < 0 ? 0 : elements(id);
      work += in * out * static_cast<double>(runs_of(*program, s));
    }
  }
  return work < 1e8 && plan.table().arena_bytes() < 1 << 20 && plan.table().state_bytes() < 1 << 20;
}

void run_programs(const Plan& plan) {
  SessionOptions options;
  options.backend = BackendChoice::reference;
  std::unique_ptr<Session> session;
  if (!Session::create(plan, options, &session)) return;
  for (int k = 0; k < kProgramCount; ++k) {
    const auto kind = static_cast<ProgramKind>(k);
    if (!session->has(kind)) continue;
    for (int i = 0; i < session->port_count(kind); ++i)
      if (const SessionPort port = session->port(kind, i); is_fed(port.role))
        std::memset(port.tensor.data, 0, port.tensor.bytes());
    (void)session->run(kind);
  }
}

// Opens data and reads all of it, as a trainer does.
void read_all(const std::string& path, const DatasetRequest& request) {
  std::unique_ptr<Dataset> data;
  if (!open_dataset(path, request, &data)) return;
  for (int64_t i = 0; i < std::min(data->size(), kMostExamples); ++i) {
    for (int field = 0; field < static_cast<int>(request.inputs.size()); ++field) {
      std::vector<std::byte> bytes(request.inputs[static_cast<size_t>(field)].bytes());
      (void)data->read(i, field, bytes);
    }
    std::vector<std::byte> target(dtype_bytes(DType::i32, 1));
    if (data->labelled()) (void)data->read(i, kTargetField, target);
    (void)data->describe(i);
    (void)data->weight(i);
  }
}

DatasetRequest numbers(Shape shape) {
  DatasetRequest request;
  request.inputs = {{"x", DType::f32, shape, 0}};
  request.classes = 3;
  request.target = {};
  request.limits = kLimits;
  return request;
}

void decode_picture(std::string_view begins, Input input) {
  std::vector<std::byte> file(input.begin(), input.end());
  file.resize(std::max(file.size(), begins.size()));
  std::memcpy(file.data(), begins.data(), begins.size());
  Image image;
  if (!decode_image("picture", file, kLimits, &image)) return;
  ImagePreprocess config;
  config.width = 5, config.height = 4, config.channels = 3;
  if (!check_image_preprocess(config)) return;
  std::vector<uint8_t> out(5 * 4 * 3);
  preprocess_image(config, image.view(), out);
}

uint32_t crc32_of(Input bytes) {
  uint32_t crc = ~0u;
  for (const std::byte byte : bytes) {
    crc ^= static_cast<uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

// Makes the sums of a PNG's chunks right, so that what they hold is looked at.
std::vector<std::byte> summed(Input png) {
  std::vector<std::byte> file(png.begin(), png.end());
  for (size_t at = 8; file.size() >= at + 12;) {
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<size_t>(file[at + i]);
    if (length > file.size() - at - 12) break;
    const uint32_t sum = crc32_of(std::span(file).subspan(at + 4, length + 4));
    for (size_t i = 0; i < 4; ++i)
      file[at + 8 + length + i] = static_cast<std::byte>(sum >> (24 - 8 * i));
    at += length + 12;
  }
  return file;
}

}  // namespace

void plan(Input input) {
  if (input.size() < sizeof(PlanHeader)) return;
  const AlignedCopy copy(input);
  PlanHeader header;
  std::memcpy(&header, copy.bytes().data(), sizeof(header));
  std::memcpy(header.magic, kPlanMagic, sizeof(kPlanMagic));
  header.major = kPlanMajor;
  header.file_bytes = input.size();
  header.checksum = hash64(input.subspan(sizeof(header)));
  std::memcpy(copy.bytes().data(), &header, sizeof(header));
  Plan loaded;
  if (!Plan::from_memory(copy.bytes(), "plan", &loaded)) return;
  (void)loaded.preprocess();
  if (runs_soon(loaded)) run_programs(loaded);
}

void checkpoint(Input input) {
  struct Trained {
    Plan plan;
    std::unique_ptr<Session> session;
    Trained() {
      SessionOptions options;
      options.backend = BackendChoice::reference;
      if (!Plan::load(ATTUNE_SOURCE_DIR "/tests/plan/golden/kws-2.0.att", &plan) ||
          !Session::create(plan, options, &session))
        abort();
    }
  };
  static const Trained trained;
  using attune::checkpoint::Header;
  std::vector<std::byte> file(input.begin(), input.end());
  if (file.size() >= sizeof(Header) + sizeof(uint64_t)) {
    const uint64_t file_bytes = file.size();
    std::memcpy(file.data() + offsetof(Header, file_bytes), &file_bytes, sizeof(file_bytes));
    const Input summed = Input(file).first(file.size() - sizeof(uint64_t));
    const uint64_t hash = hash64(summed, attune::checkpoint::kHashSeed);
    std::memcpy(file.data() + summed.size(), &hash, sizeof(hash));
  }
  struct Source final : ByteSource {
    Input bytes;
    uint64_t size() const override { return bytes.size(); }
    bool read_at(uint64_t offset, void* out, size_t count) override {
      if (offset > bytes.size() || count > bytes.size() - offset) abort();
      std::copy_n(bytes.data() + offset, count, static_cast<std::byte*>(out));
      return true;
    }
  } source;
  source.bytes = file;
  CheckpointInfo info;
  CheckpointFacts facts;
  WarmStart start;
  (void)examine_checkpoint(source, "run", trained.plan, &facts);
  (void)load_checkpoint(source, "run", *trained.session, &info);
  (void)start_from_checkpoint(source, "run", *trained.session, &start);
}

void npz(Input input) {
  const std::string path = written("data.npz", input);
  read_all(path, numbers({4}));
  DatasetRequest series = numbers({2, 4});
  series.windows.stride = 1;
  read_all(path, series);
}

void npy(Input input) {
  NpyArray array;
  if (!parse_npy("array", input, &array)) return;
  const int64_t count = std::min(array.elements(), kMostExamples);
  for (const DType to : {DType::f32, DType::f64, DType::i32, DType::u8}) {
    std::vector<std::byte> out(dtype_bytes(to, static_cast<size_t>(count)));
    (void)convert_elements("array", array, 0, count, to, out);
  }
}

void idx(Input input) { read_all(written("images-idx3-ubyte", input), numbers({2, 2})); }

void csv(Input input) {
  const std::string path = written("data.csv", input);
  read_all(path, numbers({4}));
  DatasetRequest described = numbers({4});
  for (const char* column : {"a", "b", "c"}) {
    ColumnSpec& spec = described.columns.emplace_back();
    spec.column = column;
    spec.input = "x";
  }
  described.columns.back().categories = {"red", "green"};
  described.columns.back().one_hot = true;
  read_all(path, described);
}

void manifest(Input input) {
  DatasetRequest request = numbers({2, 2, 3});
  request.inputs[0].dtype = DType::u8;
  request.class_names = {"cat", "dog", "hen"};
  request.preprocess.front_end = FrontEnd::image;
  request.preprocess.image.width = request.preprocess.image.height = 2;
  request.preprocess.image.channels = 3;
  request.skip_unreadable = true;
  constexpr std::string_view kPicture = "P5 2 2 255 abcd";
  (void)written("a.pgm", std::as_bytes(std::span(kPicture)));
  read_all(written("list.csv", input), request);
}

void sound(Input input) {
  static const MfccPreprocess config = [] {
    MfccPreprocess mfcc;
    mfcc.window = ClipWindow::loudest;
    return mfcc;
  }();
  static Mfcc mfcc(config);
  Audio audio;
  if (!decode_sound("sound", input, kLimits, &audio)) return;
  const std::vector<float> clip = clip_of(config, audio);
  const int64_t frames = 1 + (config.samples - config.frame_length) / config.frame_step;
  std::vector<float> features(static_cast<size_t>(frames * config.coefficients));
  mfcc.compute(clip, features);
  SoundLength length;
  (void)read_sound_length(written("sound.wav", input), &length);
}

void png(Input input) { decode_picture("\x89PNG\r\n\x1a\n", summed(input)); }
void jpeg(Input input) { decode_picture("\xff\xd8\xff", input); }
void webp(Input input) {
  std::vector<std::byte> file(input.begin(), input.end());
  file.resize(std::max<size_t>(file.size(), 12));
  std::memcpy(file.data() + 8, "WEBP", 4);
  decode_picture("RIFF", file);
}
void tiff(Input input) {
  const bool big_endian = !input.empty() && input[0] == std::byte{'M'};
  decode_picture(big_endian ? "MM" : "II", input);
}
void gif(Input input) { decode_picture("GIF8", input); }
void bmp(Input input) { decode_picture("BM", input); }
void pnm(Input input) { decode_picture("P", input); }

}  // namespace attune::fuzz

// Where an Ogg's header is damaged, libsndfile 1.2 leaks this.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:vorbis_info_init"; }
