#pragma once

#include <cstdio>
#include <cstdlib>

/// Stops the program on a bug of our own. Stays on in release builds: a wrong placement costs more than a crash.
#define EVENKEEL_CHECK(condition, what)                                                             \
  do {                                                                                              \
    if (!(condition)) {                                                                             \
      std::fprintf(stderr, "%s:%d: check failed: %s (%s)\n", __FILE__, __LINE__, #condition, what); \
      std::abort();                                                                                 \
    }                                                                                               \
  } while (false)
