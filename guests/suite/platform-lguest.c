/* The shared suite's kernel on lguest: the framework of the microkernels, and the console of the descriptor page. */
#include "suite.h"
#include "device-page.h"
#include "test.h"

static struct page_console console;
static struct vring input;
static u8 typed[16];
static volatile u32 nmis;

static void count_nmi(struct frame *frame) {
  (void)frame;
  nmis++;
}

void test_main(void) {
  nmi_hook = count_nmi;
  setup();
  lguest_data.blocked_interrupts = 0;
  u32 params = BOOT_PARAMS_GPA;
  __asm__("" : "+r"(params));
  suite_main(*(const char **)(params + BP_CMD_LINE_PTR));
}

void platform_say(const char *text) { printk("%s", text); }

static void offer(void) {
  input.desc[0].address = (u32)typed;
  input.desc[0].length = sizeof typed;
  input.desc[0].flags = VIRTQ_DESC_F_WRITE;
  input.avail->ring[input.avail->index % input.entries] = 0;
  barrier();
  input.avail->index++;
  hcall1(LHCALL_NOTIFY, console.device->queue[0].page * PAGE_SIZE);
}

u32 platform_read(char *bytes, u32 size) {
  if (!console.device) {
    console_start(&console);
    vring_attach(&input, (void *)(console.device->queue[0].page * PAGE_SIZE), console.device->queue[0].entries);
    offer();
  }
  interrupts_off();
  while (*(volatile u16 *)&input.used->index == input.seen) {
    hcall0(LHCALL_HALT);
    interrupts_off();
  }
  u32 length = input.used->ring[input.seen++ % input.entries].length;
  if (length > size)
    length = size;
  memcpy(bytes, typed, length);
  offer();
  return length;
}

void platform_sleep(u32 microseconds) {
  u32 before = irq_counts[0];
  interrupts_off();
  hcall1(LHCALL_SET_CLOCKEVENT, microseconds * 1000);
  while (irq_counts[0] == before) {
    hcall0(LHCALL_HALT);
    interrupts_off();
  }
}

void platform_sleep_for_ever(void) {
  for (;;)
    hcall0(LHCALL_HALT);
}

u32 platform_nmis(void) { return nmis; }

void platform_power_off(void) { power_off(); }

static void shut_down(const char *text, u32 reason) {
  for (;;)
    hcall2(LHCALL_SHUTDOWN, text, reason);
}

void platform_restart(void) {
  shut_down("again", LGUEST_SHUTDOWN_RESTART);
  __builtin_unreachable();
}

void platform_panic(void) {
  shut_down("the kernel panics", LGUEST_SHUTDOWN_POWEROFF);
  __builtin_unreachable();
}

void platform_break_a_rule(void) {
  for (;;)
    hcall0(99);
}
