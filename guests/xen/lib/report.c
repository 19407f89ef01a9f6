/* Printing over the console's ring, and the verdict. */
#include "test.h"

static u32 failures;

#define AT(page, offset) (*(volatile u32 *)((u8 *)(page) + (offset)))

static void console_notify(void) {
  u32 port = start_info->console_evtchn;
  event_channel_op(EVTCHNOP_SEND, &port);
}

/* The other side takes what is there when it is told; it may want to be asked again. */
static void put(const char *text, u32 length) {
  u8 *ring = page_of(start_info->console_mfn);
  u32 produced = AT(ring, XENCONS_OUT_PROD);
  for (u32 i = 0; i < length; i++) {
    while (produced - AT(ring, XENCONS_OUT_CONS) == XENCONS_OUT_BYTES) {
      AT(ring, XENCONS_OUT_PROD) = produced;
      console_notify();
      sched_op(SCHEDOP_YIELD, NULL);
    }
    ring[XENCONS_OUT + produced % XENCONS_OUT_BYTES] = text[i];
    produced++;
  }
  barrier();
  AT(ring, XENCONS_OUT_PROD) = produced;
  console_notify();
}

static void vprintk(const char *prefix, const char *pattern, __builtin_va_list arguments, const char *suffix) {
  char line[256];
  u32 length = format(line, sizeof line, "%s", prefix);
  length += vformat(line + length, sizeof line - length, pattern, arguments);
  length += format(line + length, sizeof line - length, "%s", suffix);
  put(line, length);
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

void shut_down(u32 reason) {
  for (;;)
    sched_op(SCHEDOP_SHUTDOWN, &reason);
}

static void verdict(const char *word) {
  printk("Test result: %s\n", word);
  shut_down(SHUTDOWN_POWEROFF);
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
