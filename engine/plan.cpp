#include "attune/plan.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/format/plan_generated.h"
#include "engine/format/plan_limits.h"
#include "engine/format/plan_tensor.h"
#include "engine/format/plan_verify.h"
#include "engine/platform/error_text.h"
#include "engine/platform/files.h"

namespace attune {
namespace {

bool range_ok(uint64_t offset, uint64_t bytes, uint64_t limit) {
  return offset % kSegmentAlignment == 0 && offset <= limit && bytes <= limit - offset;
}

Status check_header(const PlanHeader& header, size_t file_bytes, const char* name) {
  if (std::memcmp(header.magic, kPlanMagic, sizeof(kPlanMagic)) != 0)
    return Status::error("%s: not an Attune plan; make one with `attune compile`", name);
  if (header.major != kPlanMajor)
    return Status::error(
        "%s: plan of format version %u, this runtime reads version %u; compile the plan again or "
        "use a matching runtime",
        name, static_cast<unsigned>(header.major), static_cast<unsigned>(kPlanMajor));
  if (header.file_bytes != file_bytes)
    return Status::error("%s: plan is truncated or padded (%zu of %llu bytes); copy it again", name,
                         file_bytes, static_cast<unsigned long long>(header.file_bytes));
  if (!range_ok(header.program_offset, header.program_bytes, file_bytes) ||
      !range_ok(header.constants_offset, header.constants_bytes, file_bytes) ||
      !range_ok(header.state_offset, header.state_bytes, file_bytes) ||
      file_bytes - header.constants_offset - header.constants_bytes < kSegmentSlack)
    return Status::error("%s: plan's header points outside the file; compile the plan again", name);
  return Status::ok();
}

// Inside the file, so no offset is cut off.
std::span<const std::byte> segment(std::span<const std::byte> file, uint64_t offset,
                                   uint64_t size) {
  return file.subspan(static_cast<size_t>(offset), static_cast<size_t>(size));
}

}  // namespace

uint64_t hash64(std::span<const std::byte> bytes, uint64_t seed) {
  constexpr uint64_t kPrime = 0x100000001b3u;
  uint64_t hash = seed;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + i, 8);
    hash = (hash ^ word) * kPrime;
    hash ^= hash >> 32;
  }
  for (; i < bytes.size(); ++i) hash = (hash ^ static_cast<uint64_t>(bytes[i])) * kPrime;
  return hash;
}

Plan::~Plan() {
  if (mapped_) unmap_file(bytes_);
}

Plan::Plan(Plan&& other) noexcept { *this = std::move(other); }

Plan& Plan::operator=(Plan&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_, other.mapped_);
  std::swap(name_, other.name_);
  std::swap(table_, other.table_);
  std::swap(constants_, other.constants_);
  std::swap(initial_state_, other.initial_state_);
  return *this;
}

Status Plan::load(const char* path, Plan* plan) {
  std::span<const std::byte> bytes;
  ATTUNE_RETURN_IF_ERROR(map_file(path, "the plan", &bytes));
  Plan loaded;
  if (Status status = from_memory(bytes, path, &loaded); !status) {
    unmap_file(bytes);
    return status;
  }
  loaded.mapped_ = true;
  *plan = std::move(loaded);
  return Status::ok();
}

Status read_plan_table(std::span<const std::byte> bytes, const char* name, PlanHeader* header,
                       const format::Plan** table) {
  if (reinterpret_cast<uintptr_t>(bytes.data()) % kSegmentAlignment != 0)
    return Status::error("%s: plan in memory must be aligned to %zu bytes", name,
                         kSegmentAlignment);
  if (bytes.size() < sizeof(PlanHeader))
    return Status::error("%s: not an Attune plan (%zu bytes); make one with `attune compile`", name,
                         bytes.size());
  std::memcpy(header, bytes.data(), sizeof(*header));
  ATTUNE_RETURN_IF_ERROR(check_header(*header, bytes.size(), name));
  if (hash64(bytes.subspan(sizeof(PlanHeader))) != header->checksum)
    return Status::error("%s: plan is damaged (checksum differs); copy or compile it again", name);
  const auto program = segment(bytes, header->program_offset, header->program_bytes);
  // A table is four bytes or more, and is told once: a small file that tells the same tables again
  // and again would keep the verifier busy for hours.
  const auto most_tables = static_cast<flatbuffers::uoffset_t>(
      std::min<size_t>(program.size() / sizeof(flatbuffers::soffset_t), 1u << 30));
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t*>(program.data()), program.size(),
                                 64, most_tables);
  if (!format::VerifyPlanBuffer(verifier))
    return Status::error("%s: plan's program is malformed; compile the plan again", name);
  *table = format::GetPlan(program.data());
  return Status::ok();
}

Status Plan::from_memory(std::span<const std::byte> bytes, const char* name, Plan* plan,
                         const Allocator& allocator) {
  PlanHeader header;
  Plan loaded;
  ATTUNE_RETURN_IF_ERROR(read_plan_table(bytes, name, &header, &loaded.table_));
  loaded.bytes_ = bytes;
  write_text(loaded.name_, sizeof(loaded.name_), "%s", name);
  loaded.constants_ = segment(bytes, header.constants_offset, header.constants_bytes);
  loaded.initial_state_ = segment(bytes, header.state_offset, header.state_bytes);
  ATTUNE_RETURN_IF_ERROR(check_plan_limits(
      *loaded.table_, static_cast<size_t>(header.program_bytes), loaded.constants_, name));
  ATTUNE_RETURN_IF_ERROR(verify_plan(*loaded.table_, loaded.constants_,
                                     loaded.initial_state_.size(), name, allocator));
  *plan = std::move(loaded);
  return Status::ok();
}

const format::Program* Plan::program(ProgramKind kind) const {
  for (const format::Program* program : *table_->programs())
    if (program->kind() == static_cast<uint8_t>(kind)) return program;
  return nullptr;
}

Preprocess Plan::preprocess() const {
  Preprocess result;
  const format::Preprocess* p = table_->preprocess();
  if (!p) return result;
  result.front_end = static_cast<FrontEnd>(p->front_end());
  ImagePreprocess& image = result.image;
  image.width = p->width(), image.height = p->height(), image.channels = p->channels();
  image.resize = static_cast<Resize>(p->resize());
  image.resize_shorter = p->resize_shorter(), image.bgr = p->bgr();
  image.interpolation = static_cast<Interpolation>(p->interpolation());
  for (size_t i = 0; i < list_of(p->scale()).size(); ++i) image.scale[i] = list_of(p->scale())[i];
  for (size_t i = 0; i < list_of(p->offset()).size(); ++i)
    image.offset[i] = list_of(p->offset())[i];
  MfccPreprocess& mfcc = result.mfcc;
  mfcc.sample_rate = p->sample_rate(), mfcc.samples = p->samples();
  mfcc.normalize_peak = p->normalize_peak();
  mfcc.frame_length = p->frame_length(), mfcc.frame_step = p->frame_step();
  mfcc.fft_size = p->fft_size(), mfcc.mel_bands = p->mel_bands();
  mfcc.low_hz = p->low_hz(), mfcc.high_hz = p->high_hz(), mfcc.log_offset = p->log_offset();
  mfcc.coefficients = p->coefficients();
  mfcc.window = static_cast<ClipWindow>(p->window());
  return result;
}

}  // namespace attune
