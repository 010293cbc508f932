// Shared by both modules: the shape of the data set and of the network, and the few file calls that they need.
// Nothing here uses stdio or malloc, so that a module stays small and its whole state is static memory.
#ifndef DIGITS_H
#define DIGITS_H

#include <stdint.h>

enum {
  IMAGES = 1797,
  TRAINING = 1437,  // rows before it train, the other 360 (other writers) are held out
  HELD_OUT = IMAGES - TRAINING,
  SIDE = 8,
  PIXELS = SIDE * SIDE,
  DARKEST = 16,  // pixels are 0..16
  HIDDEN = 64,
  CLASSES = 10,
  OUTPUTS = 12,  // classes, padded to whole vectors
};

// Four floats at once; may_alias, because the same bytes are read as single floats too.
typedef float vec __attribute__((vector_size(16), may_alias));
enum { LANES = 4, HIDDEN_VECS = HIDDEN / LANES, OUTPUT_VECS = OUTPUTS / LANES };

// The trained network; the file /out/weights.bin is these bytes, little-endian as WebAssembly's memory is.
typedef struct {
  vec hidden[PIXELS][HIDDEN_VECS];
  vec hidden_bias[HIDDEN_VECS];
  vec output[HIDDEN][OUTPUT_VECS];
  vec output_bias[OUTPUT_VECS];
} network;

typedef struct {
  uint8_t pixel[PIXELS];
  uint8_t digit;
} image;

// Activations of one image.
typedef struct {
  _Alignas(vec) float hidden[HIDDEN];
  _Alignas(vec) float output[OUTPUTS];
} layers;

extern image images[IMAGES];

// Reads at most `capacity` bytes of the file; returns how many. Ends the job with exit code 2 if it cannot.
uint32_t read_file(const char *path, void *buffer, uint32_t capacity);

// Writes the whole file. Ends the job with exit code 3 if it cannot.
void write_file(const char *path, const void *buffer, uint32_t size);

// Loads /in/digits.csv: one image a line, 64 pixels and the digit. Exit code 4 if it is not that.
void load_images(void);

// Text that is built piece by piece, then written at once.
typedef struct {
  char *bytes;
  uint32_t size;
} text;
void add(text *to, const char *piece);
void add_number(text *to, uint32_t number);
void add_percent(text *to, uint32_t part, uint32_t whole);  // "97.50", rounded down
void print(const text *line);

// Outputs before softmax of an image whose pixels are scaled to 0..1.
void forward(const network *net, const float *pixel, layers *at);
uint32_t strongest(const layers *at);

_Noreturn void stop(int code);

#endif
