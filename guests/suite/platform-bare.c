/* The shared suite's kernel on a plain machine: COM1, the PIT at 100 Hz, ports to reset and to power off. */
#include "suite.h"
#include "abi.gen.h"
#include "bare.h"

#define IRQ_VECTOR 0x20
#define HUNDRED_HZ (PIT_HZ / 100)
#define TICK_MICROSECONDS 10000

static u64 idt[IRQ_VECTOR + IRQ_COM1 + 1];
static volatile u32 ticks, nmis;

void suite_on_timer(void);
void suite_on_input(void);
void suite_on_nmi(void);
void suite_timer(void);
void suite_input(void);
void suite_nmi(void);
__asm__("suite_timer: pushal; call suite_on_timer; popal; iret\n"
        "suite_input: pushal; call suite_on_input; popal; iret\n"
        "suite_nmi: pushal; call suite_on_nmi; popal; iret");

void suite_on_timer(void) {
  ticks++;
  out8(PORT_PIC_MASTER, 0x20);
}
/* Who sleeps looks at the port itself. */
void suite_on_input(void) { out8(PORT_PIC_MASTER, 0x20); }
void suite_on_nmi(void) { nmis++; }

/* Opens the given request lines. */
static void interrupts(u8 lines) {
  out8(PORT_PIC_MASTER, 0x11);
  out8(PORT_PIC_MASTER + 1, IRQ_VECTOR);
  out8(PORT_PIC_MASTER + 1, 4);
  out8(PORT_PIC_MASTER + 1, 1);
  out8(PORT_PIC_MASTER + 1, (u8)~lines);
}

static void halt(void) { __asm__ volatile("sti; hlt; cli" : : : "memory"); }

void platform_start(const char *command) {
  idt[2] = gate_to(suite_nmi);
  idt[IRQ_VECTOR] = gate_to(suite_timer);
  idt[IRQ_VECTOR + IRQ_COM1] = gate_to(suite_input);
  load_idt(idt, COUNT_OF(idt));
  suite_main(command);
}

void platform_say(const char *text) { say(text); }

/* Interrupts of COM1 when something was typed. */
static void listen(void) {
  out8(PORT_COM1 + 4, 0x0b);
  out8(PORT_COM1 + 1, 1);
  interrupts(1 << IRQ_COM1);
}

u32 platform_read(char *bytes, u32 size) {
  u32 length = 0;
  listen();
  while (!(in8(PORT_COM1 + 5) & 1))
    halt();
  while (length < size && (in8(PORT_COM1 + 5) & 1))
    bytes[length++] = (char)in8(PORT_COM1);
  return length;
}

void platform_sleep(u32 microseconds) {
  if (!ticks) {
    out8(PORT_PIT_CONTROL, 0x34);
    out8(PORT_PIT, HUNDRED_HZ & 0xff);
    out8(PORT_PIT, HUNDRED_HZ >> 8);
    interrupts(1);
  }
  u32 until = ticks + microseconds / TICK_MICROSECONDS;
  while (ticks < until)
    halt();
}

void platform_sleep_for_ever(void) {
  listen();
  for (;;)
    halt();
}

u32 platform_nmis(void) { return nmis; }

static void stop(void) {
  for (;;)
    __asm__ volatile("cli; hlt");
}

void platform_power_off(void) {
  out8(PORT_PM1_CNT + 1, (SLP_TYP_S5 << PM1_SLP_TYP_SHIFT | PM1_SLP_EN) >> 8);
  stop();
  __builtin_unreachable();
}

void platform_restart(void) {
  out8(PORT_RESET_CONTROL, RESET_CONTROL_HARD);
  out8(PORT_RESET_CONTROL, RESET_CONTROL_HARD | RESET_CONTROL_NOW);
  stop();
  __builtin_unreachable();
}

/* A machine knows of no panic. */
void platform_panic(void) {
  stop();
  __builtin_unreachable();
}

void platform_break_a_rule(void) {
  static const u64 nothing;
  __asm__ volatile("lidt %0; int3" : : "m"(nothing));
  __builtin_unreachable();
}
