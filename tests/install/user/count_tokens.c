/* A program outside evenkeel, in C, that counts a step with the probe. Its argument names the segment. */
#include <evenkeel/probe.h>
#include <stdio.h>

int main(int argc, char** argv) {
  const ek_probe_options options = {.size = sizeof options, .model = "install/test", .world = 1};
  const int32_t ids[] = {0, 1, 2, 3};
  ek_probe* probe = ek_probe_open(argc > 1 ? argv[1] : "evenkeel-install", 1, 8, 2, &options);
  if (!probe) {
    fprintf(stderr, "%s\n", ek_probe_error());
    return 1;
  }
  ek_probe_record_ids_i32(probe, 0, ids, 2);
  ek_probe_end_step(probe, EK_STAGE_DECODE);
  printf("epoch held: %lld\n", (long long)ek_probe_held(probe));
  ek_probe_close(probe);
  return 0;
}
