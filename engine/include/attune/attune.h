#ifndef ATTUNE_ATTUNE_H
#define ATTUNE_ATTUNE_H

/* Attune for C (C99), and for every language that calls C: load a plan, train it on the device's
   own data, evaluate, predict. docs/c_api.md is a tour; examples/c_api has a program.

   Objects. A plan (attune_plan) is what `attune compile` wrote. A session (attune_session) is a
   plan with its memory: parameters, the optimizer's state, room to compute. A trainer
   (attune_trainer) runs a session over a data set. A plan outlives its sessions, a session outlives
   its trainers, and one session has one trainer at a time. Whatever is given as a pointer to a
   structure is copied; what such a structure points to (contexts, functions, memory) must live as
   long as the object.

   Errors. Every call that can fail returns ATTUNE_OK or another attune_status, and writes one line,
   what went wrong, where and what to do, into the caller's attune_error, which may be NULL. A call
   that fails leaves what it was to write untouched. Results are set through pointers, which must
   not be NULL unless it says so. Nothing here aborts, throws, prints or exits.

   Structures begin with `size`, which the caller sets to sizeof of the structure, and every other
   field may be 0, which stands for the default: `attune_session_options options = {.size =
   sizeof(options)};`. The library takes those of older headers, whose missing fields are 0, and
   refuses those of newer ones only where a field that it does not know is not 0. Of structures that
   the library fills, it fills as much as `size` has room for.

   Threads. Plans do not change: any number of threads may use one, each with a session of its own.
   A session, its ports and its trainer are for one thread at a time. Callbacks are called in the
   calling thread before the call returns, unless it says otherwise; they must return (no longjmp,
   no exceptions), and must not call functions of the same session unless it says so.

   Memory. What is created takes memory in the call that creates it, and never later: steps,
   evaluation, prediction, checkpoints allocate nothing. It comes from the caller's block, else from
   the caller's allocator, else from the library's heap. (A text of an error is on the heap while a
   call fails.) The stack that calls need is in attune_device_report.

   Numbers. All is in the device's byte order, little-endian. Bytes are counted in size_t; elements
   of tensors, examples and steps in int64_t; time in milliseconds or, of clocks, microseconds. */

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define ATTUNE_API __attribute__((visibility("default")))
#else
#define ATTUNE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Versions ----------------------------------------------------------------------------------
 */

/* Changes when a function, a value or a field that was there changes or goes; what is only added
   keeps it. */
#define ATTUNE_ABI_VERSION 1

/* The ABI version of the library: it must be the ATTUNE_ABI_VERSION that the program was compiled
   with. */
ATTUNE_API uint32_t attune_abi_version(void);

/* The version of the library, "0.1.0". Static. */
ATTUNE_API const char* attune_version(void);

/* What this library was built with, one line for logs: the major version of plans that it reads and
   the backends that are in it, "plan format 2; backends reference simd". Static. */
ATTUNE_API const char* attune_build(void);

/* ---- Errors ------------------------------------------------------------------------------------
 */

typedef int32_t attune_status;
enum {
  ATTUNE_OK = 0,
  ATTUNE_ERROR_ARGUMENT = 1,   /* a NULL, a size, an option or an order of calls that is wrong */
  ATTUNE_ERROR_NOT_FOUND = 2,  /* no such program, port, parameter or gradient */
  ATTUNE_ERROR_MEMORY = 3,     /* the block is too small, or allocator or system gave none */
  ATTUNE_ERROR_PLAN = 4,       /* the plan cannot be read, is damaged, or is not for this library */
  ATTUNE_ERROR_CHECKPOINT = 5, /* cannot be read or written, is damaged, or of another plan */
  ATTUNE_ERROR_DATA = 6,       /* a data set cannot be read, or does not fit the plan */
  ATTUNE_ERROR_RUN = 7,        /* training or evaluation failed: diverged, for one */
  ATTUNE_ERROR_STOPPED = 8 /* should_continue or the time budget ended a call without a result */
};

typedef struct attune_error {
  attune_status status; /* what the call returned, ATTUNE_OK too */
  char message[640];    /* one line, ends with a NUL; empty where nothing went wrong */
} attune_error;

/* ---- What the application may bring -------------------------------------------------------------
 */

/* Memory for everything that an object takes. */
typedef struct attune_allocator {
  size_t size;
  void* context;
  /* `bytes` bytes, aligned to `alignment` (a power of two, at most 64); NULL: there are none. */
  void* (*allocate)(void* context, size_t bytes, size_t alignment);
  /* Gives back what `allocate` gave, with the same `bytes`. */
  void (*release)(void* context, void* memory, size_t bytes);
} attune_allocator;

/* The application's threads. */
typedef void (*attune_task)(void* argument, int64_t index);
typedef struct attune_parallel_for {
  size_t size;
  void* context;
  /* Calls task(argument, i) once for each i of 0 .. count - 1, in any order and by at most
     `threads` threads at once, the calling one among them or not, and returns when all are done.
     Results do not depend on how. */
  void (*run)(void* context, int64_t count, attune_task task, void* argument);
  int32_t threads; /* at least 1 */
  int32_t reserved;
} attune_parallel_for;

/* A clock that never goes back. */
typedef struct attune_clock {
  size_t size;
  void* context;
  int64_t (*microseconds)(void* context); /* since any moment */
} attune_clock;

/* ---- Plans -------------------------------------------------------------------------------------
 */

typedef struct attune_plan attune_plan;

typedef struct attune_plan_options {
  size_t size;
  const char* name; /* for messages; copied, up to 255 bytes. NULL: the path, or "plan" */
  /* Memory for the object, attune_plan_bytes() of it, aligned to 64. */
  void* memory;
  size_t memory_bytes;
  const attune_allocator* allocator; /* where `memory` is NULL */
} attune_plan_options;

/* The bytes of an attune_plan. The plan's own contents are not in it: they stay where they are. */
ATTUNE_API size_t attune_plan_bytes(void);

/* Maps the file at `path`, checks all of it, and sets `*plan`. The file may be anyone's: a plan
   that passes stays inside its memory. `options` may be NULL. ATTUNE_ERROR_PLAN: the file cannot be
   read, is damaged, of another version, or has an operator that this library does not. */
ATTUNE_API attune_status attune_plan_load(const char* path, const attune_plan_options* options,
                                          attune_plan** plan, attune_error* error);

/* The same of a plan that is in memory (flash, for one): `count` bytes at `bytes`, aligned to 64,
   which must stay there, unchanged, as long as the plan. */
ATTUNE_API attune_status attune_plan_from_memory(const void* bytes, size_t count,
                                                 const attune_plan_options* options,
                                                 attune_plan** plan, attune_error* error);

/* Gives up a plan, once its sessions are gone. NULL: nothing happens. */
ATTUNE_API void attune_plan_destroy(attune_plan* plan);

typedef int32_t attune_dtype;
enum {
  ATTUNE_F32 = 0,
  ATTUNE_F64 = 1,
  ATTUNE_I32 = 2,
  ATTUNE_U8 = 3,
  ATTUNE_MASK = 4 /* a bit an element, in whole bytes */
};

typedef int32_t attune_program;
enum {
  ATTUNE_TRAIN_STEP = 0, /* loss, gradients and one step of the optimizer */
  ATTUNE_EVALUATE = 1,   /* loss, without learning */
  ATTUNE_PREDICT = 2,    /* the model */
  ATTUNE_ESTIMATE = 3    /* the statistics of batch norms, from inputs alone */
};

/* What a plan is. Texts are the plan's, and end with a NUL. */
typedef struct attune_plan_info {
  size_t size;
  const char* name;        /* as in messages */
  const char* producer;    /* "attune 0.1.0" */
  const char* model_name;  /* the model's file */
  const char* loss;        /* "cross_entropy", for one */
  const char* optimizer;   /* with its settings: "momentum 0.9" */
  uint64_t model_hash;     /* of the model's file */
  uint64_t signature;      /* of what is trained: checkpoints fit plans of the same one */
  size_t constants_bytes;  /* frozen weights, read where the plan lies */
  size_t state_bytes;      /* parameters and the optimizer's state */
  size_t arena_bytes;      /* what a run computes */
  attune_dtype real;       /* what it computes in: ATTUNE_F32 or ATTUNE_F64 */
  int32_t classes;         /* 0: not a classifier */
  int32_t labels;          /* names of the labels of an example, where it has several */
  int32_t parameters;      /* see attune_session_parameter */
  int32_t keeps_gradients; /* 1: attune_session_get_gradient works */
  int32_t programs;        /* bit i: it has the program i */
} attune_plan_info;
ATTUNE_API attune_status attune_plan_describe(const attune_plan* plan, attune_plan_info* info,
                                              attune_error* error);

/* The name of class `index`, or of label `index`; NULL where the plan has none. The plan's. */
ATTUNE_API const char* attune_plan_class(const attune_plan* plan, int32_t index);
ATTUNE_API const char* attune_plan_label(const attune_plan* plan, int32_t index);

enum { ATTUNE_FRONT_END_NONE = 0, ATTUNE_FRONT_END_IMAGE = 1, ATTUNE_FRONT_END_MFCC = 2 };

/* How raw data become the model's input, as the plan was compiled: what an application's data set
   must do before it hands an example over. attune/preprocess.h says more of each field. */
typedef struct attune_preprocess {
  size_t size;
  int32_t front_end;
  /* Images, as bytes [height, width, channels]: the plan itself scales them. */
  int32_t width, height, channels;
  int32_t resize;         /* 0: stretched, 1: shorter side to resize_shorter, then the middle */
  int32_t resize_shorter; /* pixels */
  int32_t interpolation;  /* 0: bilinear without a filter, 1: bilinear, 2: bicubic, as Pillow's */
  int32_t bgr;            /* 1: channels are blue, green, red */
  /* Sound, as mel-frequency cepstral coefficients [frames, coefficients] of mono samples. */
  int32_t sample_rate;    /* Hz */
  int32_t samples;        /* of a clip: longer ones are cut, shorter ones end with zeros */
  int32_t window;         /* of a longer clip: 0 the first samples, 1 the middle, 2 the loudest */
  int32_t normalize_peak; /* 1: samples are divided by the largest magnitude first */
  int32_t frame_length, frame_step; /* samples */
  int32_t fft_size;
  int32_t mel_bands;    /* triangles, linear in mel = 1127 ln(1 + Hz / 700), without bin 0 */
  int32_t coefficients; /* the first ones of the DCT-II, each scaled by sqrt(2 / mel_bands) */
  float low_hz, high_hz;
  float log_offset; /* ln(x + log_offset) of the sums of magnitudes over a band */
} attune_preprocess;
ATTUNE_API attune_status attune_plan_preprocess(const attune_plan* plan,
                                                attune_preprocess* preprocess, attune_error* error);

/* ---- Sessions ----------------------------------------------------------------------------------
 */

typedef struct attune_session attune_session;

typedef int32_t attune_backend;
enum {
  ATTUNE_BACKEND_BEST = 0,      /* the fastest that has each operator */
  ATTUNE_BACKEND_REFERENCE = 1, /* the same bits on every device */
  ATTUNE_BACKEND_EIGEN = 2,
  ATTUNE_BACKEND_XNNPACK = 3,
  ATTUNE_BACKEND_SIMD = 4
};

typedef struct attune_session_options {
  size_t size;
  attune_backend backend;
  int32_t threads;   /* of the library's own, the calling one included; 0: 1 */
  uint32_t programs; /* bit i: program i will be run; 0: all. Others need no packed weights */
  uint32_t reserved;
  /* Memory for everything of the session, attune_session_bytes() of it, aligned to 64. */
  void* memory;
  size_t memory_bytes;
  const attune_allocator* allocator;       /* where `memory` is NULL */
  const attune_parallel_for* parallel_for; /* instead of threads of the library's */
  const attune_clock* clock;               /* for time budgets; NULL: the system's */
} attune_session_options;

/* The bytes that a session takes as `memory`, with these options (`memory`, `allocator` not among
   them). `options` may be NULL. */
ATTUNE_API attune_status attune_session_bytes(const attune_plan* plan,
                                              const attune_session_options* options, size_t* bytes,
                                              attune_error* error);

/* Makes a session whose parameters are the plan's. `options` may be NULL. */
ATTUNE_API attune_status attune_session_create(const attune_plan* plan,
                                               const attune_session_options* options,
                                               attune_session** session, attune_error* error);

/* Gives up a session, once its trainer is gone. NULL: nothing happens. */
ATTUNE_API void attune_session_destroy(attune_session* session);

/* Bytes, in the parts that a user sees. */
typedef struct attune_memory {
  size_t size;
  size_t constants;         /* frozen weights, read where the plan lies */
  size_t state;             /* parameters and the optimizer's state */
  size_t arena;             /* planned: inputs, activations, gradients */
  size_t workspace;         /* kernels' scratch and packed weights */
  size_t session;           /* its own objects, padding */
  size_t arena_lower_bound; /* what the arena needs at least */
  size_t kept_gradients;    /* of the arena: what gradients kept beyond a step take */
} attune_memory;
ATTUNE_API attune_status attune_session_memory(const attune_session* session, attune_memory* memory,
                                               attune_error* error);

/* What a device offers, for a check before anything is taken. */
typedef struct attune_device {
  size_t size;
  size_t ram_bytes;   /* for a session; 0: whatever the system has */
  size_t stack_bytes; /* of the thread that will call; 0: not checked */
} attune_device;

typedef struct attune_device_report {
  size_t size;
  int32_t fits;              /* 1: a session can be made and run */
  int32_t lacking_operators; /* operators that this library does not have: `reason` names them */
  size_t ram_bytes;          /* what the session takes of the system */
  size_t required_bytes;     /* of attune_session_options::memory */
  size_t ram_available;      /* of what was given or found; SIZE_MAX: unknown */
  size_t plan_bytes;         /* of the plan itself, in flash or mapped */
  size_t stack_bytes;        /* the most that loading, a step or a checkpoint needs */
  char reason[400];          /* where it does not fit: what is missing, one line */
} attune_device_report;

/* Whether a session of this plan, with these options, would run here: memory, kernels, stack. Makes
   no session, and takes a few kB for a moment. `options` and `device` may be NULL. That it does not
   fit is no error: the report says why. */
ATTUNE_API attune_status attune_session_check(const attune_plan* plan,
                                              const attune_session_options* options,
                                              const attune_device* device,
                                              attune_device_report* report, attune_error* error);

/* The same of a plan that is not loaded: `count` bytes at `bytes`, aligned to 64. Names all
   operators that the library lacks, for which loading it would fail. `name` is for messages; NULL:
   "plan". */
ATTUNE_API attune_status attune_plan_check(const void* bytes, size_t count, const char* name,
                                           const attune_session_options* options,
                                           const attune_device* device,
                                           attune_device_report* report, attune_error* error);

/* ---- Ports, and running a program --------------------------------------------------------------
 */

#define ATTUNE_MAX_RANK 6

typedef int32_t attune_role;
enum {
  /* Fed by the caller. */
  ATTUNE_ROLE_INPUT = 0,  /* the model's own */
  ATTUNE_ROLE_LABEL = 1,  /* classes */
  ATTUNE_ROLE_TARGET = 2, /* of a regression */
  ATTUNE_ROLE_WEIGHT = 3, /* of each example, or of each of its positions */
  ATTUNE_ROLE_RATE = 4,   /* the learning rate [1] */
  ATTUNE_ROLE_STEP = 5,   /* the number of the optimizer's step [1], from 1 on */
  /* Made by a run. */
  ATTUNE_ROLE_LOSS = 6,     /* [1] */
  ATTUNE_ROLE_METRIC = 7,   /* [1] */
  ATTUNE_ROLE_OUTPUT = 8,   /* the model's own, and what is made of them: "probabilities" */
  ATTUNE_ROLE_GRADIENT = 9, /* of a parameter; attune_session_get_gradient gives it */
  /* Fed. */
  ATTUNE_ROLE_ADVANTAGE = 10 /* of each example's action, for a loss of policy gradients */
};

/* A tensor that a program is fed or makes, in the session's memory. */
typedef struct attune_port {
  size_t size;
  const char* name; /* the plan's */
  void* data; /* aligned; valid as long as the session. Elements are dense, the last axis first */
  size_t bytes;
  attune_role role;
  attune_dtype dtype;
  int32_t limit; /* > 0: integers are 0 .. limit - 1, which is checked before each run */
  int32_t rank;
  int64_t shape[ATTUNE_MAX_RANK]; /* the first axis is the batch, of what has examples */
} attune_port;

/* How many examples a run of `program` takes; 0 where the session does not have it. */
ATTUNE_API int32_t attune_session_batch(const attune_session* session, attune_program program);

/* Ports by number: the model's inputs first, in its order, what is fed before what is made. */
ATTUNE_API int32_t attune_session_port_count(const attune_session* session, attune_program program);
ATTUNE_API attune_status attune_session_port(const attune_session* session, attune_program program,
                                             int32_t index, attune_port* port, attune_error* error);

/* The port of a name ("labels", the model's own "input"), or number `index` of those with a role.
   ATTUNE_ERROR_NOT_FOUND: there is none, and what there is. */
ATTUNE_API attune_status attune_session_port_by_name(const attune_session* session,
                                                     attune_program program, const char* name,
                                                     attune_port* port, attune_error* error);
ATTUNE_API attune_status attune_session_port_by_role(const attune_session* session,
                                                     attune_program program, attune_role role,
                                                     int32_t index, attune_port* port,
                                                     attune_error* error);

/* Runs one program over what its ports hold. Programs share one arena: fill all inputs of a program
   before each run, and read what it made before the next call of the session. Of train_step, that
   is one step of the optimizer. ATTUNE_ERROR_DATA: a label or an id is beyond its port's limit;
   nothing ran. */
ATTUNE_API attune_status attune_session_run(attune_session* session, attune_program program,
                                            attune_error* error);

/* ---- Data --------------------------------------------------------------------------------------
 */

/* The field of an example that is its label or target; others are the model's inputs, from 0 on. */
#define ATTUNE_TARGET_FIELD (-1)
/* The label of a position that counts for nothing, where an example has a label for each. */
#define ATTUNE_IGNORED_LABEL (-100)

/* A source of examples that can be read in any order, again and again. */
typedef struct attune_dataset {
  size_t size;
  void* context;
  int64_t count;    /* examples: 1 .. 2147483647; it may not change while the set is in use */
  int32_t labelled; /* 1: there are labels or targets; 0: for prediction and statistics only */
  int32_t reserved;
  /* Writes `count` bytes of field `field` of example `index`: an input as its port has it, without
     the batch's axis; or, of ATTUNE_TARGET_FIELD, the class as an int32_t (one for each position
     that the model classifies), or the target in the plan's real type. Returns 0; anything else
     ends the call with ATTUNE_ERROR_DATA, and is in the message. `bytes` may be unaligned. */
  int32_t (*read)(void* context, int64_t index, int32_t field, void* bytes, size_t count);
  /* By how much an example counts beside others: finite, at least 0. NULL: 1. */
  double (*weight)(void* context, int64_t index);
  /* By how much the action that is the label did better than expected, for a loss of policy
     gradients. NULL: 1. */
  double (*advantage)(void* context, int64_t index);
  /* Where an example comes from, for messages; it lives until the next call. NULL: "example 17". */
  const char* (*describe)(void* context, int64_t index);
} attune_dataset;

typedef struct attune_evaluation {
  size_t size;
  double loss;     /* mean over the examples, by their weights */
  double accuracy; /* 0 .. 1, of the examples or their positions by weight; classification only */
  int64_t examples;
} attune_evaluation;

/* What a long call asks and tells. */
typedef struct attune_progress attune_progress;
typedef struct attune_control {
  size_t size;
  void* context;
  /* 0: stop as soon as possible (heat, a battery, a user). Asked before each step, and before each
     example that is evaluated. NULL: go on. */
  int32_t (*should_continue)(void* context);
  /* Called after each step of a trainer, which may be asked and whose rate may be set (but neither
     stepped nor destroyed). NULL: nobody is told. */
  void (*on_progress)(void* context, const attune_progress* progress);
  /* > 0: a step is not begun that would, by the longest one of this call, end later than this many
     milliseconds after the call began. The first one always is, so that calls get on; measuring on
     held-out data is not cut short. Needs a clock. */
  int64_t budget_ms;
  int64_t max_steps; /* > 0: at most so many steps in this call */
} attune_control;

/* Measures the session's parameters on all of `data`. Of `control`, which may be NULL,
   should_continue and budget_ms count; where they end the call, there is no result, and it returns
   ATTUNE_ERROR_STOPPED. ATTUNE_ERROR_RUN: the loss is not finite. */
ATTUNE_API attune_status attune_session_evaluate(attune_session* session,
                                                 const attune_dataset* data,
                                                 const attune_control* control,
                                                 attune_evaluation* evaluation,
                                                 attune_error* error);

/* Bytes of the caller's. */
typedef struct attune_array {
  const void* data;
  size_t bytes;
} attune_array;

/* Runs the model on `count` examples: inputs[i] holds them for the model's input number i, one
   after the other, each as its port without the batch's axis; `input_count` is how many inputs the
   model has. `count` may be any number. Copies the output called `output` for each of them to
   `values`, which has `value_bytes`, exactly theirs. `output` NULL: "probabilities" [count, ..,
   classes] of a classifier, else the model's first output. attune_session_port_by_name says what an
   output is. Whether the numbers are finite is for the caller to see. */
ATTUNE_API attune_status attune_session_predict(attune_session* session, const attune_array* inputs,
                                                int32_t input_count, int64_t count,
                                                const char* output, void* values,
                                                size_t value_bytes, attune_error* error);

/* Replaces the running statistics of every batch norm by averages over `data`, in an order that
   `seed` shuffles; for plans compiled with --batch-norm estimate. Takes 4 bytes an example while it
   runs. A trainer does it by itself, before its first step. */
ATTUNE_API attune_status attune_session_estimate_statistics(attune_session* session,
                                                            const attune_dataset* data,
                                                            uint64_t seed, attune_error* error);

/* ---- Parameters and gradients ------------------------------------------------------------------
 */

/* A parameter of which at least a slice is trained, by the model's name and in the model's layout.
   Texts and numbers that this points to are the plan's. */
typedef struct attune_parameter {
  size_t size;
  const char* name;
  size_t bytes;     /* of the whole tensor: what get and set take */
  int64_t elements; /* of the whole tensor */
  int64_t trained;  /* of them, those that training changes; 0 of a statistic */
  const int32_t*
      slice; /* channels that are trained, in increasing order; NULL: not only channels */
  int32_t slice_count;
  int32_t slice_axis; /* of `shape`; -1: all of it is trained, or what is no channels of one axis */
  attune_dtype dtype;
  int32_t head;         /* 1: of a fresh layer, which the model does not have */
  int32_t statistic;    /* 1: a running statistic of a batch norm: averaged, not trained */
  int32_t has_gradient; /* 1: the plan keeps its gradient */
  int32_t slots;        /* tensors that the optimizer has for it */
  int32_t rank;
  int64_t shape[8]; /* of the model's tensor; 0 beyond `rank` */
} attune_parameter;

/* Parameter number `index` of attune_plan_info::parameters, or by name. */
ATTUNE_API attune_status attune_session_parameter(const attune_session* session, int32_t index,
                                                  attune_parameter* parameter, attune_error* error);
ATTUNE_API attune_status attune_session_parameter_by_name(const attune_session* session,
                                                          const char* name,
                                                          attune_parameter* parameter,
                                                          attune_error* error);

/* The name of tensor `index` (from 0) that the optimizer has for a parameter: "velocity" of
   momentum, "m" and "v" of Adam. NULL: there is none. The plan's. */
ATTUNE_API const char* attune_session_optimizer_slot(const attune_session* session,
                                                     const char* parameter, int32_t index);

/* Copies a whole tensor to `values`, attune_parameter::bytes of it. `slot` NULL: the parameter's
   value, else the optimizer's tensor of that name; of one that is kept for a slice alone, the rest
   is 0. Memory need not be aligned. */
ATTUNE_API attune_status attune_session_get_parameter(const attune_session* session,
                                                      const char* name, const char* slot,
                                                      void* values, size_t bytes,
                                                      attune_error* error);

/* Replaces a whole tensor. ATTUNE_ERROR_ARGUMENT, having changed nothing: an element is not finite,
   or one that the plan does not train differs from what attune_session_get_parameter gives. Between
   two steps of a trainer, the next one starts from it; the best state that a trainer keeps is not
   touched. */
ATTUNE_API attune_status attune_session_set_parameter(attune_session* session, const char* name,
                                                      const char* slot, const void* values,
                                                      size_t bytes, attune_error* error);

/* Copies the gradient of the loss (the mean over the batch, by the examples' weights, without
   weight decay) that the last run of train_step found, by the parameters as they were before it
   updated them; 0 outside of a trained slice. ATTUNE_ERROR_NOT_FOUND: the plan does not keep it;
   compile with
   --keep-gradients. ATTUNE_ERROR_ARGUMENT: train_step was not the last program to run. */
ATTUNE_API attune_status attune_session_get_gradient(const attune_session* session,
                                                     const char* name, void* values, size_t bytes,
                                                     attune_error* error);

/* Puts parameters and the optimizer's state back to what the plan holds. */
ATTUNE_API attune_status attune_session_reset(attune_session* session, attune_error* error);

/* ---- Checkpoints -------------------------------------------------------------------------------
 */

/* Where a checkpoint is read from, if not from a file: at any place, and the same bytes again. */
typedef struct attune_source {
  size_t size;
  void* context;
  uint64_t bytes; /* of the checkpoint */
  /* Reads exactly `count` bytes at `offset`, which lie within `bytes`. 0: done. */
  int32_t (*read)(void* context, uint64_t offset, void* bytes, size_t count);
  const char* name; /* for messages; NULL: "checkpoint" */
} attune_source;

/* Where a checkpoint is written to, if not to a file: one piece after the other. It is complete
   when the call returns ATTUNE_OK; keep an older one until then. */
typedef struct attune_sink {
  size_t size;
  void* context;
  int32_t (*begin)(void* context, uint64_t bytes); /* how many will come; 0: go on. May be NULL */
  int32_t (*write)(void* context, const void* bytes, size_t count); /* 0: all were taken */
  const char* name; /* for messages; NULL: "checkpoint" */
} attune_sink;

/* What a checkpoint is. */
typedef struct attune_checkpoint_info {
  size_t size;
  int32_t fits;       /* 1: attune_session_load would take it */
  int32_t same_model; /* 1: of the model that the plan was compiled from */
  int32_t finished;   /* 1: nothing is left to do of its run */
  int32_t keeps_best;
  int64_t step, epoch;           /* where its run stands */
  int64_t dataset_size;          /* examples that it was trained on */
  int64_t best_epoch, best_step; /* 0: none was measured */
  double best_loss, best_accuracy;
  /* Of attune_session_start_from. */
  int64_t earlier_steps;   /* for attune_trainer_options */
  int32_t parameters;      /* that were taken */
  int32_t fresh;           /* of a fresh layer of another size: as the plan has them */
  int32_t optimizer_state; /* 1: taken, too; else it starts anew */
  int32_t reserved;
} attune_checkpoint_info;

/* Writes parameters and the optimizer's state: beside `path`, synced, then renamed over it, so that
   a power cut leaves the old file or the new one. Refuses to replace what is no checkpoint of this
   plan, and to write numbers that are not finite. A trainer has its own (attune_trainer_save),
   which can be resumed. */
ATTUNE_API attune_status attune_session_save(const attune_session* session, const char* path,
                                             attune_error* error);
ATTUNE_API attune_status attune_session_write(const attune_session* session,
                                              const attune_sink* sink, attune_error* error);

/* Takes parameters and the optimizer's state of a checkpoint, of its best epoch where it keeps
   that. Checks all of it before anything changes. `info` may be NULL. */
ATTUNE_API attune_status attune_session_load(attune_session* session, const char* path,
                                             attune_checkpoint_info* info, attune_error* error);
ATTUNE_API attune_status attune_session_read(attune_session* session, const attune_source* source,
                                             attune_checkpoint_info* info, attune_error* error);

/* Begins another run where a checkpoint ended: as attune_session_load, and a plan of the same model
   with another scheme or optimizer takes the parameters by name. Give info.earlier_steps to the
   trainer. `info` may be NULL. */
ATTUNE_API attune_status attune_session_start_from(attune_session* session, const char* path,
                                                   attune_checkpoint_info* info,
                                                   attune_error* error);
ATTUNE_API attune_status attune_session_start_from_source(attune_session* session,
                                                          const attune_source* source,
                                                          attune_checkpoint_info* info,
                                                          attune_error* error);

/* Says what a checkpoint is, and changes nothing. */
ATTUNE_API attune_status attune_plan_examine(const attune_plan* plan, const char* path,
                                             attune_checkpoint_info* info, attune_error* error);
ATTUNE_API attune_status attune_plan_examine_source(const attune_plan* plan,
                                                    const attune_source* source,
                                                    attune_checkpoint_info* info,
                                                    attune_error* error);

/* ---- Training ----------------------------------------------------------------------------------
 */

/* A trainer does no harm: with held-out data it measures the model before the first step, and after
   every epoch; what it gives is the state with the least loss, which may be that before the first
   step. With or without, a loss or parameters that are not finite are not gone on from: it goes
   back to the state that it keeps, and on from there with half the learning rate, a bounded number
   of times. */
typedef struct attune_trainer attune_trainer;

typedef int32_t attune_schedule;
enum {
  ATTUNE_SCHEDULE_CONSTANT = 0,
  ATTUNE_SCHEDULE_STEP = 1,  /* rate * gamma^(n / every), n steps after the warm-up */
  ATTUNE_SCHEDULE_COSINE = 2 /* to zero at the run's end */
};

typedef struct attune_trainer_options {
  size_t size;
  int64_t epochs;       /* 0: 1, unless `steps` */
  int64_t steps;        /* > 0: stop after so many in all, whatever `epochs` says */
  double learning_rate; /* 0: 0.01 */
  attune_schedule schedule;
  int32_t in_order;       /* 1: examples are not shuffled */
  int64_t warmup_steps;   /* the rate rises linearly over these */
  int64_t schedule_every; /* steps, of ATTUNE_SCHEDULE_STEP; 0: 1 */
  double schedule_gamma;  /* of ATTUNE_SCHEDULE_STEP; 0: 0.1 */
  uint64_t seed;          /* of shuffling */
  int64_t
      earlier_steps; /* attune_checkpoint_info::earlier_steps, after attune_session_start_from */
  const attune_dataset* held_out; /* never trained on: it judges. NULL: none, and nothing judges */
  int64_t patience;               /* > 0: stop after so many epochs that are no better */
  int64_t most_rollbacks;         /* 0: 10; -1: none */
  int32_t keep_last;              /* 1: give the last state, not the best one on held-out data */
  int32_t reserved;
  /* Memory for everything of the trainer, attune_trainer_bytes() of it, aligned to 64. NULL: the
     session's allocator. */
  void* memory;
  size_t memory_bytes;
} attune_trainer_options;

enum {
  ATTUNE_RUNNING = 0,
  ATTUNE_FINISHED = 1,    /* all epochs or steps, or patience, are over */
  ATTUNE_STOPPED = 2,     /* should_continue */
  ATTUNE_OUT_OF_TIME = 3, /* budget_ms */
  ATTUNE_OUT_OF_STEPS = 4 /* max_steps */
};

/* Where a trainer stands. Losses and accuracies that were not measured are NaN. */
struct attune_progress {
  size_t size;
  int64_t step, total_steps;               /* steps of the optimizer, done and in all */
  int64_t epoch;                           /* epochs done */
  int64_t batch, steps_per_epoch;          /* batches done in this epoch */
  double loss;                             /* mean over the last batch */
  double learning_rate;                    /* of the last step */
  double epoch_loss, epoch_accuracy;       /* means over the last whole epoch, as it was trained */
  double held_out_loss, held_out_accuracy; /* as measured last */
  double baseline_loss, baseline_accuracy; /* before the first step */
  int64_t best_epoch, best_step;
  double best_loss, best_accuracy; /* on held-out data */
  int64_t rollbacks;               /* in all */
  int32_t stop;                    /* why the call ended: ATTUNE_RUNNING .. ATTUNE_OUT_OF_STEPS */
  int32_t epoch_ended;             /* 1: the last step ended an epoch */
  int32_t rolled_back;             /* 1: the last step was not finite, and went back */
  int32_t kept_baseline; /* 1: what the run gives is what it started from: nothing was better */
};

/* The bytes that a trainer takes as `memory`: a copy of the session's state, 4 bytes an example,
   and its objects. */
ATTUNE_API attune_status attune_trainer_bytes(const attune_session* session,
                                              const attune_dataset* data,
                                              const attune_trainer_options* options, size_t* bytes,
                                              attune_error* error);

/* Makes a trainer that starts from what the session holds. Reads example 0, to see that it fits.
   `options` may be NULL. */
ATTUNE_API attune_status attune_trainer_create(attune_session* session, const attune_dataset* data,
                                               const attune_trainer_options* options,
                                               attune_trainer** trainer, attune_error* error);

/* Instead, makes a trainer that continues, bit for bit, the run that attune_trainer_save (or the
   command) wrote. Its options are the checkpoint's, but for epochs and steps that are not 0, and
   for held_out and memory. */
ATTUNE_API attune_status attune_trainer_resume(attune_session* session, const attune_dataset* data,
                                               const attune_trainer_options* options,
                                               const char* path, attune_trainer** trainer,
                                               attune_error* error);
ATTUNE_API attune_status attune_trainer_resume_source(
    attune_session* session, const attune_dataset* data, const attune_trainer_options* options,
    const attune_source* source, attune_trainer** trainer, attune_error* error);

/* Gives up a trainer; the session keeps the parameters that it has. NULL: nothing happens. */
ATTUNE_API void attune_trainer_destroy(attune_trainer* trainer);

/* Trains until the run is finished or `control` (may be NULL) ends the call, which is no error:
   progress->stop says why, and the next call goes on. Once it is finished the session holds what
   the run gives. `progress` may be NULL. ATTUNE_ERROR_DATA: the data set failed; the step may be
   tried again. ATTUNE_ERROR_RUN: it went back too often, or the data itself gives no finite loss;
   the session holds the state that it kept. */
ATTUNE_API attune_status attune_trainer_run(attune_trainer* trainer, const attune_control* control,
                                            attune_progress* progress, attune_error* error);

/* One step of the optimizer, or a rollback. ATTUNE_ERROR_ARGUMENT: the run is finished. `progress`
   may be NULL. */
ATTUNE_API attune_status attune_trainer_step(attune_trainer* trainer, attune_progress* progress,
                                             attune_error* error);

/* Measures what is left to measure, and puts what the run gives into the session: the best state,
   or the last one. May be called at any time; the next step goes on from where the run stood.
   `progress` may be NULL. */
ATTUNE_API attune_status attune_trainer_finish(attune_trainer* trainer, attune_progress* progress,
                                               attune_error* error);

/* Where the trainer stands. */
ATTUNE_API attune_status attune_trainer_progress(const attune_trainer* trainer,
                                                 attune_progress* progress, attune_error* error);

/* The rate that the schedule gives for the next step; and a new one from the next step on: the
   schedule's shape stays, its base becomes such that the next step's rate is this. Finite, at least
   0; where the schedule is at zero, it cannot be set. */
ATTUNE_API attune_status attune_trainer_learning_rate(const attune_trainer* trainer, double* rate,
                                                      attune_error* error);
ATTUNE_API attune_status attune_trainer_set_learning_rate(attune_trainer* trainer, double rate,
                                                          attune_error* error);

/* Writes a checkpoint that can be resumed: the state where the run stands, the best one beside it,
   and the run's options. What is there, and was neither saved by this trainer nor is what it was
   resumed from, is another run, and stays as `path`.old. Else as attune_session_save. */
ATTUNE_API attune_status attune_trainer_save(attune_trainer* trainer, const char* path,
                                             attune_error* error);
ATTUNE_API attune_status attune_trainer_write(attune_trainer* trainer, const attune_sink* sink,
                                              attune_error* error);

#ifdef __cplusplus
}
#endif

#endif
