#include "digits.h"

#include <wasi/api.h>

enum { FIRST_PREOPEN = 3, BAD_DATA = 4, CSV_BYTES = 512 * 1024 };

image images[IMAGES];

_Noreturn void stop(int code) {
  __wasi_proc_exit((__wasi_exitcode_t)code);
  __builtin_unreachable();
}

static uint32_t length(const char *s) {
  uint32_t n = 0;
  while (s[n]) n++;
  return n;
}

// The runtime opens one folder, "/", as descriptor 3; paths are relative to it.
static __wasi_fd_t open_file(const char *path, __wasi_oflags_t flags, __wasi_rights_t rights, int code) {
  __wasi_fd_t fd;
  if (__wasi_path_open(FIRST_PREOPEN, 0, path + 1, flags, rights, 0, 0, &fd) != 0) stop(code);
  return fd;
}

uint32_t read_file(const char *path, void *buffer, uint32_t capacity) {
  __wasi_fd_t fd = open_file(path, 0, __WASI_RIGHTS_FD_READ, 2);
  uint32_t size = 0;
  for (;;) {
    __wasi_iovec_t into = {(uint8_t *)buffer + size, capacity - size};
    __wasi_size_t got;
    if (__wasi_fd_read(fd, &into, 1, &got) != 0) stop(2);
    size += got;
    if (got == 0 || size == capacity) break;
  }
  (void)__wasi_fd_close(fd);
  return size;
}

static void write_all(__wasi_fd_t fd, const uint8_t *bytes, uint32_t size) {
  while (size > 0) {
    __wasi_ciovec_t from = {bytes, size};
    __wasi_size_t put;
    if (__wasi_fd_write(fd, &from, 1, &put) != 0) stop(3);
    bytes += put;
    size -= put;
  }
}

void write_file(const char *path, const void *buffer, uint32_t size) {
  __wasi_fd_t fd = open_file(path, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_TRUNC, __WASI_RIGHTS_FD_WRITE, 3);
  write_all(fd, buffer, size);
  (void)__wasi_fd_close(fd);
}

// One number up to its separator; refuses anything but digits, and values above `most`.
static const char *number(const char *at, const char *end, uint32_t most, char separator, uint8_t *value) {
  uint32_t n = 0;
  const char *start = at;
  while (at < end && *at >= '0' && *at <= '9') {
    n = n * 10 + (uint32_t)(*at++ - '0');
    if (n > most) stop(BAD_DATA);
  }
  if (at == start || at == end || *at != separator) stop(BAD_DATA);
  *value = (uint8_t)n;
  return at + 1;
}

void load_images(void) {
  static char csv[CSV_BYTES];
  uint32_t size = read_file("/in/digits.csv", csv, CSV_BYTES);
  const char *at = csv, *end = csv + size;
  for (int i = 0; i < IMAGES; i++) {
    for (int p = 0; p < PIXELS; p++) at = number(at, end, DARKEST, ',', &images[i].pixel[p]);
    at = number(at, end, CLASSES - 1, '\n', &images[i].digit);
  }
  if (at != end) stop(BAD_DATA);
  __builtin_memset(csv, 0, CSV_BYTES);  // zero pages cost nothing in a checkpoint
}

void add(text *to, const char *piece) {
  uint32_t size = length(piece);
  __builtin_memcpy(to->bytes + to->size, piece, size);
  to->size += size;
}

void add_number(text *to, uint32_t value) {
  char digits[11];
  int at = 10;
  digits[at] = 0;
  do digits[--at] = (char)('0' + value % 10); while (value /= 10);
  add(to, digits + at);
}

void add_percent(text *to, uint32_t part, uint32_t whole) {
  uint32_t hundredths = (uint32_t)((uint64_t)part * 10000 / whole);
  add_number(to, hundredths / 100);
  add(to, hundredths % 100 < 10 ? ".0" : ".");
  add_number(to, hundredths % 100);
}

void print(const text *line) { write_all(1, (const uint8_t *)line->bytes, line->size); }

static vec splat(float x) { return (vec){x, x, x, x}; }

void forward(const network *net, const float *pixel, layers *at) {
  vec sum[HIDDEN_VECS], output[OUTPUT_VECS];
#pragma clang loop unroll(full)
  for (int j = 0; j < HIDDEN_VECS; j++) sum[j] = net->hidden_bias[j];
  for (int i = 0; i < PIXELS; i++) {
    vec x = splat(pixel[i]);
#pragma clang loop unroll(full)
    for (int j = 0; j < HIDDEN_VECS; j++) sum[j] += x * net->hidden[i][j];
  }
#pragma clang loop unroll(full)
  for (int j = 0; j < HIDDEN_VECS; j++) ((vec *)at->hidden)[j] = __builtin_elementwise_max(sum[j], splat(0));
#pragma clang loop unroll(full)
  for (int k = 0; k < OUTPUT_VECS; k++) output[k] = net->output_bias[k];
#pragma clang loop unroll_count(4)
  for (int j = 0; j < HIDDEN; j++) {
    vec x = splat(at->hidden[j]);
    for (int k = 0; k < OUTPUT_VECS; k++) output[k] += x * net->output[j][k];
  }
#pragma clang loop unroll(full)
  for (int k = 0; k < OUTPUT_VECS; k++) ((vec *)at->output)[k] = output[k];
}

uint32_t strongest(const layers *at) {
  uint32_t best = 0;
  for (uint32_t k = 1; k < CLASSES; k++)
    if (at->output[k] > at->output[best]) best = k;
  return best;
}
