/* The shared suite's kernel on Xen: the framework of the microkernels, and the console's ring. */
#include "suite.h"
#include "test.h"

#define AT(page, offset) (*(volatile u32 *)((u8 *)(page) + (offset)))

static u32 timer;
static volatile u32 nmis;

static void count_nmi(struct frame *frame) {
  if (frame->vector != VECTOR_NMI)
    error("unexpected trap %u at %p", frame->vector, (void *)frame->eip);
  nmis++;
}

void test_main(void) {
  trap_hook = count_nmi;
  setup();
  timer = bind_virq(VIRQ_TIMER);
  unmask_bit(timer);
  unmask_bit(start_info->console_evtchn);
  suite_main(start_info->cmd_line);
}

void platform_say(const char *text) { printk("%s", text); }

static void wait_for_event(void) {
  sched_op(SCHEDOP_BLOCK, NULL);
  events_off();
}

u32 platform_read(char *bytes, u32 size) {
  u8 *ring = page_of(start_info->console_mfn);
  u32 at = AT(ring, XENCONS_IN_CONS), length = 0;
  while (AT(ring, XENCONS_IN_PROD) == at)
    wait_for_event();
  while (length < size && AT(ring, XENCONS_IN_PROD) != at)
    bytes[length++] = ring[XENCONS_IN + at++ % XENCONS_IN_BYTES];
  AT(ring, XENCONS_IN_CONS) = at;
  event_channel_op(EVTCHNOP_SEND, &start_info->console_evtchn);
  return length;
}

void platform_sleep(u32 microseconds) {
  u32 before = event_counts[timer];
  set_timer_op(system_time() + microseconds * 1000ull);
  while (event_counts[timer] == before)
    wait_for_event();
}

void platform_sleep_for_ever(void) {
  for (;;)
    wait_for_event();
}

u32 platform_nmis(void) { return nmis; }

void platform_power_off(void) { shut_down(SHUTDOWN_POWEROFF); }
void platform_restart(void) { shut_down(SHUTDOWN_REBOOT); }
void platform_panic(void) { shut_down(SHUTDOWN_CRASH); }

void platform_break_a_rule(void) {
  set_trap_table(NULL);
  __builtin_trap();
}
