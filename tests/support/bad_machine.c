/* A machine that goes wrong while a process runs: fsync fails as long as the file BAD_SYNC is
 * there, and the wall clock is ahead by as many seconds as the file BAD_CLOCK says. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int is_bad(void) {
  const char *path = getenv("BAD_SYNC");
  return path && access(path, F_OK) == 0;
}

int fsync(int file) {
  static int (*real)(int);
  if (!real) real = dlsym(RTLD_NEXT, "fsync");
  if (!is_bad()) return real(file);
  errno = EIO;
  return -1;
}

int fdatasync(int file) {
  static int (*real)(int);
  if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
  if (!is_bad()) return real(file);
  errno = EIO;
  return -1;
}

int clock_gettime(clockid_t id, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(id, now);
  const char *path = getenv("BAD_CLOCK");
  if (path && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
    FILE *file = fopen(path, "r");
    long ahead = 0;
    if (file) {
      if (fscanf(file, "%ld", &ahead) == 1) now->tv_sec += ahead;
      fclose(file);
    }
  }
  return result;
}
