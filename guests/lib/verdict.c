/* Lines, checks and the verdict. */
#include "verdict.h"

static u32 failures;

static void vprintk(const char *prefix, const char *pattern, __builtin_va_list arguments, const char *suffix) {
  char line[256];
  u32 length = format(line, sizeof line, "%s", prefix);
  length += vformat(line + length, sizeof line - length, pattern, arguments);
  length += format(line + length, sizeof line - length, "%s", suffix);
  put_line(line, length);
}

void printk(const char *pattern, ...) {
  __builtin_va_list arguments;
  __builtin_va_start(arguments, pattern);
  vprintk("", pattern, arguments, "");
  __builtin_va_end(arguments);
}

void check(int holds, const char *pattern, ...) {
  if (holds)
    return;
  failures++;
  __builtin_va_list arguments;
  __builtin_va_start(arguments, pattern);
  vprintk("broken: ", pattern, arguments, "\n");
  __builtin_va_end(arguments);
}

void check_equal(const char *what, u32 found, u32 wanted) {
  check(found == wanted, "%s is %x, wanted %x", what, found, wanted);
}

void check_answer(const char *what, s32 found, s32 wanted) {
  check(found == wanted, "%s answers %d, wanted %d", what, found, wanted);
}

static void verdict(const char *word) {
  reach_host();
  printk("Test result: %s\n", word);
  power_off();
}

void success(void) {
  verdict(failures ? "FAILURE" : "SUCCESS");
  __builtin_unreachable();
}

#define FINAL(name, prefix, word)                            \
  void name(const char *pattern, ...) {                      \
    __builtin_va_list arguments;                             \
    __builtin_va_start(arguments, pattern);                  \
    vprintk(prefix, pattern, arguments, "\n");               \
    verdict(word);                                           \
    __builtin_unreachable();                                 \
  }

FINAL(skip, "skipped: ", "SKIP")
FINAL(error, "error: ", "ERROR")
FINAL(failure, "broken: ", "FAILURE")

void survived(void) { failure("the Host let it pass"); }

void test_start(void) {
  test_main();
  success();
}
