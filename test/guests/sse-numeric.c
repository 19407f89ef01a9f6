/*
 * Numbers by SSE: planets with their forces in vectors of four floats, a matrix product, prefix sums and conversions. Everything
 * printed follows from IEEE 754 alone, so any processor prints the same. Built for a Pentium III: SSE for float, the x87 for double.
 */
#include <stdio.h>
#include <string.h>
#include <xmmintrin.h>

#define BODIES 8
#define SIZE 32
#define STEPS 4000

static unsigned state = 12345;

static float random_float(void) {
  state = state * 1664525u + 1013904223u;
  return (float)(state >> 8) / 16777216.0f;
}

static unsigned bits_of(float value) {
  unsigned bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static float sum_of(__m128 v) {
  float parts[4];
  _mm_storeu_ps(parts, v);
  return (parts[0] + parts[1]) + (parts[2] + parts[3]);
}

static void planets(void) {
  __m128 place[BODIES], speed[BODIES];
  for (int i = 0; i < BODIES; i++) {
    place[i] = _mm_set_ps(0, random_float(), random_float(), random_float());
    speed[i] = _mm_setzero_ps();
  }
  for (int step = 1; step <= STEPS; step++) {
    for (int i = 0; i < BODIES; i++) {
      for (int j = 0; j < BODIES; j++) {
        if (i == j) continue;
        __m128 apart = _mm_sub_ps(place[j], place[i]);
        float square = sum_of(_mm_mul_ps(apart, apart)) + 0.01f;
        __m128 cube = _mm_set1_ps(square);
        cube = _mm_mul_ps(cube, _mm_sqrt_ps(cube));
        speed[i] = _mm_add_ps(speed[i], _mm_div_ps(_mm_mul_ps(apart, _mm_set1_ps(1e-4f)), cube));
      }
    }
    for (int i = 0; i < BODIES; i++) {
      place[i] = _mm_add_ps(place[i], _mm_mul_ps(speed[i], _mm_set1_ps(1e-2f)));
    }
    if (step % (STEPS / 8) == 0) {
      printf("step %d:", step);
      for (int i = 0; i < BODIES; i++) printf(" %08x", bits_of(sum_of(place[i])));
      printf(" %.9g\n", sum_of(speed[0]));
    }
  }
}

static void product(void) {
  static float a[SIZE * SIZE], b[SIZE * SIZE], c[SIZE * SIZE];
  for (int i = 0; i < SIZE * SIZE; i++) {
    a[i] = random_float() - 0.5f;
    b[i] = random_float() * 3 - 1;
  }
  for (int round = 0; round < 16; round++) {
    memset(c, 0, sizeof c);
    for (int i = 0; i < SIZE; i++) {
      for (int k = 0; k < SIZE; k++) {
        for (int j = 0; j < SIZE; j++) c[i * SIZE + j] += a[i * SIZE + k] * b[k * SIZE + j];
      }
    }
    float most = 0;
    for (int i = 0; i < SIZE * SIZE; i++) most = c[i] > most ? c[i] : most;
    for (int i = 0; i < SIZE * SIZE; i++) a[i] = c[i] / most;
    printf("round %d: %08x %08x %.9g\n", round, bits_of(most), bits_of(a[3 * SIZE + 5]), a[7 * SIZE + 9]);
  }
}

/* With each rounding mode, and with denormal numbers flushed. */
static void modes(void) {
  static const unsigned modes[] = {0x1f80, 0x3f80, 0x5f80, 0x7f80, 0x9f80};
  for (int m = 0; m < 5; m++) {
    _mm_setcsr(modes[m]);
    float sum = 0, tiny = 1;
    int whole = 0;
    for (int i = 0; i < 20000; i++) {
      float value = random_float() * 2000 - 1000;
      sum += value / 7;
      whole += _mm_cvtss_si32(_mm_set_ss(value));
      tiny *= 0.75f;
      if (i % 400 == 0) tiny = value;
    }
    unsigned raised = _mm_getcsr() & 0x3f;
    _mm_setcsr(0x1f80);
    printf("mode %04x: %08x %d %08x flags %02x\n", modes[m], bits_of(sum), whole, bits_of(tiny), raised);
  }
}

int main(void) {
  planets();
  product();
  modes();
  return 0;
}
