#include "attune/parameters.h"
#include "engine/c_api/objects.h"
#include "engine/format/plan_generated.h"

using namespace attune;
using namespace attune::c_api;

namespace {

attune_status read_offer(const attune_plan_options* given, attune_plan_options* options,
                         Offer* offer, attune_error* error) {
  ATTUNE_C_RETURN_IF_ERROR(read(given, options, "attune_plan_options", error));
  ATTUNE_C_RETURN_IF_ERROR(read_allocator(options->allocator, &offer->allocator, error));
  offer->memory = options->memory;
  offer->memory_bytes = options->memory_bytes;
  return ATTUNE_OK;
}

// Makes the object of a plan that is checked already.
attune_status keep(Plan&& plan, const Offer& offer, attune_plan** made, attune_error* error) {
  Home home;
  ATTUNE_C_RETURN_IF_ERROR(find_home(offer, sizeof(attune_plan), "the plan", &home, error));
  *made = new (home.block.data()) attune_plan{home, std::move(plan)};
  return succeed(error);
}

const char* text_at(const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>* list,
                    int32_t index) {
  if (!list || index < 0 || static_cast<uint32_t>(index) >= list->size()) return nullptr;
  return list->Get(static_cast<uint32_t>(index))->c_str();
}

}  // namespace

size_t attune_plan_bytes(void) { return sizeof(attune_plan); }

attune_status attune_plan_load(const char* path, const attune_plan_options* given,
                               attune_plan** plan, attune_error* error) {
  ATTUNE_C_NEED(attune_plan_load, path);
  ATTUNE_C_NEED(attune_plan_load, plan);
  attune_plan_options options;
  Offer offer;
  ATTUNE_C_RETURN_IF_ERROR(read_offer(given, &options, &offer, error));
  Plan loaded;
  ATTUNE_C_RETURN_IF_ERROR(
      MemoryWatch::told(error, ATTUNE_ERROR_PLAN, [&] { return Plan::load(path, &loaded); }));
  return keep(std::move(loaded), offer, plan, error);
}

attune_status attune_plan_from_memory(const void* bytes, size_t count,
                                      const attune_plan_options* given, attune_plan** plan,
                                      attune_error* error) {
  ATTUNE_C_NEED(attune_plan_from_memory, bytes);
  ATTUNE_C_NEED(attune_plan_from_memory, plan);
  attune_plan_options options;
  Offer offer;
  ATTUNE_C_RETURN_IF_ERROR(read_offer(given, &options, &offer, error));
  Plan loaded;
  ATTUNE_C_RETURN_IF_ERROR(MemoryWatch::told(error, ATTUNE_ERROR_PLAN, [&] {
    return Plan::from_memory(bytes_of(bytes, count), options.name ? options.name : "plan", &loaded,
                             engine_allocator(offer));
  }));
  return keep(std::move(loaded), offer, plan, error);
}

void attune_plan_destroy(attune_plan* plan) {
  if (plan) destroy(plan);
}

attune_status attune_plan_describe(const attune_plan* plan, attune_plan_info* info,
                                   attune_error* error) {
  ATTUNE_C_NEED(attune_plan_describe, plan);
  ATTUNE_C_NEED(attune_plan_describe, info);
  ATTUNE_C_RETURN_IF_ERROR(check_struct(info, "attune_plan_info", error));
  const format::Plan& table = plan->plan.table();
  attune_plan_info i = {};
  i.name = plan->plan.name();
  i.producer = text_or_empty(table.producer());
  i.model_name = text_or_empty(table.model_name());
  i.loss = text_or_empty(table.loss());
  i.optimizer = text_or_empty(table.optimizer());
  i.model_hash = table.model_hash();
  i.signature = table.signature();
  i.constants_bytes = plan->plan.constants().size();
  i.state_bytes = table.state_bytes();
  i.arena_bytes = table.arena_bytes();
  i.real = table.real();
  i.classes = table.class_count();
  i.labels = table.labels() ? static_cast<int32_t>(table.labels()->size()) : 0;
  i.parameters = parameter_count(plan->plan);
  for (int p = 0; p < i.parameters; ++p)
    if (parameter(plan->plan, p).has_gradient) i.keeps_gradients = 1;
  for (int k = 0; k < kProgramCount; ++k)
    if (plan->plan.program(static_cast<ProgramKind>(k))) i.programs |= 1 << k;
  write(info, i);
  return succeed(error);
}

const char* attune_plan_class(const attune_plan* plan, int32_t index) {
  return plan ? text_at(plan->plan.table().classes(), index) : nullptr;
}

const char* attune_plan_label(const attune_plan* plan, int32_t index) {
  return plan ? text_at(plan->plan.table().labels(), index) : nullptr;
}

attune_status attune_plan_preprocess(const attune_plan* plan, attune_preprocess* preprocess,
                                     attune_error* error) {
  ATTUNE_C_NEED(attune_plan_preprocess, plan);
  ATTUNE_C_NEED(attune_plan_preprocess, preprocess);
  ATTUNE_C_RETURN_IF_ERROR(check_struct(preprocess, "attune_preprocess", error));
  const Preprocess own = plan->plan.preprocess();
  attune_preprocess p = {};
  p.front_end = static_cast<int32_t>(own.front_end);
  if (own.front_end == FrontEnd::image) {
    p.width = own.image.width, p.height = own.image.height, p.channels = own.image.channels;
    p.resize = static_cast<int32_t>(own.image.resize);
    p.resize_shorter = own.image.resize_shorter;
    p.interpolation = static_cast<int32_t>(own.image.interpolation);
    p.bgr = own.image.bgr;
  } else if (own.front_end == FrontEnd::mfcc) {
    p.sample_rate = own.mfcc.sample_rate, p.samples = own.mfcc.samples;
    p.window = static_cast<int32_t>(own.mfcc.window);
    p.normalize_peak = own.mfcc.normalize_peak;
    p.frame_length = own.mfcc.frame_length, p.frame_step = own.mfcc.frame_step;
    p.fft_size = own.mfcc.fft_size, p.mel_bands = own.mfcc.mel_bands;
    p.coefficients = own.mfcc.coefficients;
    p.low_hz = own.mfcc.low_hz, p.high_hz = own.mfcc.high_hz;
    p.log_offset = own.mfcc.log_offset;
  }
  write(preprocess, p);
  return succeed(error);
}
