// Trains a two-layer network on the first 1,437 handwritten digits, as a segmented job: `init` loads, each `step` is one
// segment of the training, `finish` writes the weights. Between two calls the whole state is static memory, so that it
// has a hash, and another machine can go on from it bit for bit.
// Environment: SEED=<number>, and BATCHES=<number> in a step, to make the job longer.
#include "digits.h"

#include <math.h>
#include <wasi/api.h>

#define EXPORT(name) __attribute__((export_name(#name)))

enum { STEPS = 32, BATCH = 16, BORDER = 4, BAD_SETTING = 6 };

static const float FIRST_RATE = 0.08f, LAST_RATE = 1e-3f, MOMENTUM = 0.9f, DECAY = 5e-4f;
// Of the random distortion; together they move a corner by less than BORDER - 1 pixels.
static const float STRETCH = 0.15f, LEAN = 0.2f, MOVE = 0.65f;

static network net, gradient, velocity;
static uint16_t order[TRAINING];  // in which the images are learned, until all were
static uint32_t taken, random_state, batches;

static uint32_t random_bits(void) {  // xorshift32
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return random_state;
}

// Even within -reach..reach.
static float random_within(float reach) { return ((float)(random_bits() >> 8) * 0x1p-23f - 1) * reach; }

// NAME=<number> in the job's environment, else `otherwise`.
static uint32_t setting(const char *name, uint32_t otherwise) {
  static uint8_t *entries[8];
  static uint8_t bytes[256];
  __wasi_size_t count, size;
  if (__wasi_environ_sizes_get(&count, &size) != 0 || count > 8 || size > sizeof bytes) stop(BAD_SETTING);
  if (__wasi_environ_get(entries, bytes) != 0) stop(BAD_SETTING);
  for (uint32_t i = 0; i < count; i++) {
    const uint8_t *at = entries[i];
    const char *letter = name;
    while (*letter && *at == (uint8_t)*letter) at++, letter++;
    if (*letter || *at++ != '=') continue;
    uint32_t value = 0;
    for (; *at >= '0' && *at <= '9' && value < 1000000; at++) value = value * 10 + (uint32_t)(*at - '0');
    if (*at || value == 0) stop(BAD_SETTING);
    return value;
  }
  return otherwise;
}

static void fill_random(vec *weights, int count, float reach) {
  for (int i = 0; i < count; i++)
    for (int lane = 0; lane < LANES; lane++) weights[i][lane] = random_within(reach);
}

EXPORT(init) void init(void) {
  load_images();
  random_state = setting("SEED", 1) * 2654435761u;  // odd factor: never 0 for a seed that is not
  batches = setting("BATCHES", 66);
  fill_random(&net.hidden[0][0], PIXELS * HIDDEN_VECS, 0.25f);
  fill_random(&net.output[0][0], HIDDEN * OUTPUT_VECS, 0.15f);
  for (int i = 0; i < TRAINING; i++) order[i] = (uint16_t)i;
  taken = TRAINING;
}

static void shuffle(void) {
  for (int i = TRAINING - 1; i > 0; i--) {
    int j = (int)(random_bits() % (uint32_t)(i + 1));
    uint16_t swapped = order[i];
    order[i] = order[j];
    order[j] = swapped;
  }
}

// The image, stretched, leaned and moved a little at random: held-out digits come from other writers.
static void distort(const image *from, float *pixel) {
  static float padded[SIDE + 2 * BORDER][SIDE + 2 * BORDER];  // the border stays 0
  for (int row = 0; row < SIDE; row++)
    for (int column = 0; column < SIDE; column++)
      padded[row + BORDER][column + BORDER] = (float)from->pixel[row * SIDE + column] * (1.0f / DARKEST);

  float stretch_x = 1 + random_within(STRETCH), lean_x = random_within(LEAN), move_x = random_within(MOVE);
  float stretch_y = 1 + random_within(STRETCH), lean_y = random_within(LEAN), move_y = random_within(MOVE);
  const float middle = (SIDE - 1) * 0.5f, centre = BORDER + middle;
  for (int row = 0; row < SIDE; row++) {
    float dy = (float)row - middle;
    float x = centre + move_x + lean_x * dy - stretch_x * middle;
    float y = centre + move_y + stretch_y * dy - lean_y * middle;
    for (int column = 0; column < SIDE; column++, x += stretch_x, y += lean_y) {
      int left = (int)x, top = (int)y;
      float right_share = x - (float)left, lower_share = y - (float)top;
      const float *upper = &padded[top][left], *lower = &padded[top + 1][left];
      float above = upper[0] + right_share * (upper[1] - upper[0]);
      float below = lower[0] + right_share * (lower[1] - lower[0]);
      pixel[row * SIDE + column] = above + lower_share * (below - above);
    }
  }
}

// Softmax of the outputs, less 1 at the right digit: the slope of the loss.
static void softmax_slope(float *output, uint32_t digit) {
  float most = output[0], sum = 0;
  for (int k = 1; k < CLASSES; k++)
    if (output[k] > most) most = output[k];
  for (int k = 0; k < CLASSES; k++) sum += output[k] = expf(output[k] - most);
  for (int k = 0; k < CLASSES; k++) output[k] /= sum;
  for (int k = CLASSES; k < OUTPUTS; k++) output[k] = 0;
  output[digit] -= 1;
}

static void learn_image(const image *from) {
  static float pixel[PIXELS];
  static layers at;
  _Alignas(vec) float back[HIDDEN];
  vec slope[HIDDEN_VECS], output[OUTPUT_VECS];
  distort(from, pixel);
  forward(&net, pixel, &at);
  softmax_slope(at.output, from->digit);

  for (int k = 0; k < OUTPUT_VECS; k++) gradient.output_bias[k] += output[k] = ((vec *)at.output)[k];
#pragma clang loop unroll_count(4)
  for (int j = 0; j < HIDDEN; j++) {
    float h = at.hidden[j];
    vec x = {h, h, h, h}, sum = {0, 0, 0, 0};
    for (int k = 0; k < OUTPUT_VECS; k++) {
      gradient.output[j][k] += x * output[k];
      sum += output[k] * net.output[j][k];
    }
    back[j] = h > 0 ? (sum[0] + sum[1]) + (sum[2] + sum[3]) : 0;
  }
#pragma clang loop unroll(full)
  for (int j = 0; j < HIDDEN_VECS; j++) gradient.hidden_bias[j] += slope[j] = ((vec *)back)[j];
  for (int i = 0; i < PIXELS; i++) {
    if (pixel[i] == 0) continue;
    vec x = {pixel[i], pixel[i], pixel[i], pixel[i]};
#pragma clang loop unroll(full)
    for (int j = 0; j < HIDDEN_VECS; j++) gradient.hidden[i][j] += x * slope[j];
  }
}

static void descend(float rate) {
  vec *weight = (vec *)&net, *speed = (vec *)&velocity, *slope = (vec *)&gradient;
  float step = rate / BATCH;
#pragma clang loop unroll_count(4)
  for (unsigned i = 0; i < sizeof(network) / sizeof(vec); i++) {
    speed[i] = speed[i] * MOMENTUM - slope[i] * step - weight[i] * (DECAY * rate);
    weight[i] += speed[i];
  }
  __builtin_memset(&gradient, 0, sizeof gradient);
}

static const image *next_image(void) {
  if (taken == TRAINING) {
    shuffle();
    taken = 0;
  }
  return &images[order[taken++]];
}

EXPORT(step) void step(int32_t index) {
  for (uint32_t batch = 0; batch < batches; batch++) {
    float left = 1 - ((float)index + (float)batch / (float)batches) / STEPS;
    for (int i = 0; i < BATCH; i++) learn_image(next_image());
    descend(LAST_RATE + (FIRST_RATE - LAST_RATE) * left);
  }
}

EXPORT(finish) void finish(void) {
  static char bytes[128];
  uint32_t right = 0;
  for (int i = 0; i < TRAINING; i++) {
    float pixel[PIXELS];
    layers at;
    for (int p = 0; p < PIXELS; p++) pixel[p] = (float)images[i].pixel[p] * (1.0f / DARKEST);
    forward(&net, pixel, &at);
    right += strongest(&at) == images[i].digit;
  }
  write_file("/out/weights.bin", &net, sizeof net);
  text line = {bytes, 0};
  add(&line, "trained: ");
  add_number(&line, right);
  add(&line, " of ");
  add_number(&line, TRAINING);
  add(&line, " training images right (");
  add_percent(&line, right, TRAINING);
  add(&line, " %)\n");
  print(&line);
}
