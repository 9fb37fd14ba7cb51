#pragma once

/// A function that is compiled for the given instruction sets too; the best that the machine has is used. Products need
/// sets without fused multiplication (avx2, not avx512f), so that results are the same everywhere. Not under
/// ThreadSanitizer: which clone is used is decided before it has started, in code that would call it.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define EVENKEEL_WIDE_VECTORS(...) __attribute__((target_clones(__VA_ARGS__, "default")))
#else
#define EVENKEEL_WIDE_VECTORS(...)
#endif
