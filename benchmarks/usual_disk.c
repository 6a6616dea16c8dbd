/* A disk whose syncs take as long as on a small server in the cloud: half of them up to 3.2 ms, 99 of
   100 up to 30 ms, logarithmically normal between. The machine's own sync comes first. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

static const double MEDIAN = 0.0032, SPREAD = 0.962;

static void wait_as_usual(void) {
  double normal = sqrt(-2 * log(1 - drand48())) * cos(2 * M_PI * drand48());
  double seconds = MEDIAN * exp(SPREAD * normal);
  struct timespec time = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
  nanosleep(&time, NULL);
}

int fsync(int file) {
  static int (*real)(int);
  if (!real) real = dlsym(RTLD_NEXT, "fsync");
  int result = real(file);
  wait_as_usual();
  return result;
}

int fdatasync(int file) {
  static int (*real)(int);
  if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
  int result = real(file);
  wait_as_usual();
  return result;
}
