// Classifies the 360 held-out digits with the weights of the training job: /in/weights.bin and /in/digits.csv give
// /out/predictions.csv (image, digit, prediction) and /out/accuracy.txt ("97.50").
#include "digits.h"

enum { BAD_WEIGHTS = 5, TEXT_BYTES = 8192 };

int main(void) {
  static network net;
  static char table[TEXT_BYTES], accuracy[16], message[128];
  load_images();
  if (read_file("/in/weights.bin", &net, sizeof net) != sizeof net) stop(BAD_WEIGHTS);

  uint32_t right = 0;
  text rows = {table, 0};
  add(&rows, "image,digit,prediction\n");
  for (int i = TRAINING; i < IMAGES; i++) {
    float pixel[PIXELS];
    layers at;
    for (int p = 0; p < PIXELS; p++) pixel[p] = (float)images[i].pixel[p] * (1.0f / DARKEST);
    forward(&net, pixel, &at);
    uint32_t prediction = strongest(&at);
    right += prediction == images[i].digit;
    add_number(&rows, (uint32_t)i);
    add(&rows, ",");
    add_number(&rows, images[i].digit);
    add(&rows, ",");
    add_number(&rows, prediction);
    add(&rows, "\n");
  }
  write_file("/out/predictions.csv", table, rows.size);

  text percent = {accuracy, 0};
  add_percent(&percent, right, HELD_OUT);
  add(&percent, "\n");
  write_file("/out/accuracy.txt", accuracy, percent.size);

  text line = {message, 0};
  add(&line, "classified: ");
  add_number(&line, right);
  add(&line, " of ");
  add_number(&line, HELD_OUT);
  add(&line, " held-out images right (");
  add_percent(&line, right, HELD_OUT);
  add(&line, " %)\n");
  print(&line);
  return 0;
}
