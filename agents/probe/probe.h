/* The probe: what a GPU worker calls so that evenkeel can see its routing and move its experts. C linkage, no exception
 * leaves it. docs/reference/probe.md explains how a worker uses it.
 *
 * Counts, sampled token paths and the epoch being prepared live in a shared memory segment that ek_probe_open()
 * creates. The worker is its only writer of counts; an agent may come, go and crash at any time. A handle belongs to
 * one thread of the process that opened it. Recording and ending a step neither block nor allocate.
 */
#ifndef EVENKEEL_AGENTS_PROBE_PROBE_H_
#define EVENKEEL_AGENTS_PROBE_PROBE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ek_probe ek_probe;

/** What a step did. */
enum { EK_STAGE_PREFILL = 0, EK_STAGE_DECODE = 1, EK_STAGE_MIXED = 2 };

/** Settings beyond the shape. Zero everything, then set `size` and what is wanted. */
typedef struct ek_probe_options {
  size_t size;              /**< sizeof(ek_probe_options): tells which fields the caller knows. */
  const char* model;        /**< Name of the model and EP group, at most 64 bytes; null: "default". */
  const char* worker;       /**< Name of this worker, the same after a restart; null: "worker-<rank>". */
  uint32_t rank;            /**< This worker's place in its EP group, below `world`. */
  uint32_t world;           /**< Ranks of the group; 0 counts as 1. */
  const int32_t* layer_ids; /**< Absolute number of each MoE layer [layers], ascending; null: 0, 1, ... */
  uint32_t paths_one_in; /**< Samples the path of one token in so many; 0: none, because paths tell what users ask. */
  uint32_t slots_max;    /**< Most slots a layer of a placement this worker can take; 0: 2 x experts. */
} ek_probe_options;

/** An expert's weights to be loaded for an epoch. */
typedef struct ek_copy {
  uint16_t layer; /**< Row of the map. */
  uint16_t expert;
  uint16_t from_gpu; /**< Holds it under the epoch that is replaced. */
  uint16_t to_gpu;
} ek_copy;

/** A placement to be made ready. Pointers stay valid until the next ek_probe_poll() or ek_probe_close(). */
typedef struct ek_epoch {
  int64_t epoch;
  int64_t base_epoch; /**< The epoch that `copies` start from, or -1: whoever holds nothing yet loads all. */
  uint64_t digest;    /**< Names the map in logs. */
  uint32_t gpus;
  uint32_t slots;               /**< Of a layer, over all GPUs. */
  const uint32_t* slots_of_gpu; /**< [gpus] */
  const uint16_t* map;          /**< Logical expert in each slot [layers][slots]. */
  const ek_copy* copies;        /**< Of all GPUs [copy_count]. */
  size_t copy_count;
  uint32_t chain_left; /**< Epochs of the same change that follow. */
} ek_epoch;

#pragma GCC visibility push(default)

/** Creates the segment `name` (at most 96 of A-Z a-z 0-9 . _ -) and counts from zero, as a new incarnation; what a dead
 * worker left under the name is replaced. Null where it fails: ek_probe_error() says why. */
ek_probe* ek_probe_open(const char* name, uint32_t layers, uint32_t experts, uint32_t top_k,
                        const ek_probe_options* options);
/** Why the last call on this thread failed: one line; empty after success. */
const char* ek_probe_error(void);
/** Ends the handle. Removes the segment where no agent was ever beside it; else an agent does, once it has reported the
 * rest. In a child that the worker forked it frees the child's copy and changes nothing else. Null is allowed. */
void ek_probe_close(ek_probe* probe);

/** Counts the top-k choices of `tokens` tokens in a layer: ids [tokens][top_k] of logical experts in host memory. An id
 * that is no expert (-1, 255 where there are fewer experts) is none. Calls add up until the step ends. */
void ek_probe_record_ids_i32(ek_probe* probe, uint32_t layer, const int32_t* ids, size_t tokens);
void ek_probe_record_ids_i64(ek_probe* probe, uint32_t layer, const int64_t* ids, size_t tokens);
void ek_probe_record_ids_u8(ek_probe* probe, uint32_t layer, const uint8_t* ids, size_t tokens);
/** Adds counts [experts] that a layer's `tokens` tokens add up to; under CUDA graphs there are no ids on the host. */
void ek_probe_record_counts(ek_probe* probe, uint32_t layer, const uint32_t* counts, size_t tokens);

/** Publishes what was recorded since the last step, all of it at once, as a step of this stage. */
void ek_probe_end_step(ek_probe* probe, int stage);
/** As ek_probe_end_step() for several steps that were recorded together. */
void ek_probe_end_steps(ek_probe* probe, int stage, uint64_t steps);
/** The steps so far close a window of a replay; publishes that with them. A window has at least one step: a worker
 * that completes more of them than it has steps is taken for a liar. */
void ek_probe_end_window(ek_probe* probe);

enum { EK_POLL_NOTHING = 0, EK_POLL_PREPARE = 1, EK_POLL_WITHDRAWN = 2 };
/** EK_POLL_PREPARE, once an epoch: load `out` beside what runs, then call ek_probe_ready(). EK_POLL_WITHDRAWN: the
 * epoch polled last will never come; forget what was loaded for it. To be called between steps; costs a load when
 * nothing is new. */
int ek_probe_poll(ek_probe* probe, ek_epoch* out);
/** Everything the epoch needs is loaded and checked. */
void ek_probe_ready(ek_probe* probe, int64_t epoch);
/** The highest committed epoch that this worker has ready, or runs; -1: none. The ranks' own collective takes the
 * minimum, and all switch to it in the same step. */
int64_t ek_probe_held(ek_probe* probe);
/** From this step on the worker routes with the epoch. */
void ek_probe_switched(ek_probe* probe, int64_t epoch, uint64_t step);
/** All ranks have switched to this epoch: copies that only older ones need may be overwritten; -1: none yet. */
int64_t ek_probe_retired(const ek_probe* probe);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
