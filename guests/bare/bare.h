/* What the parts of the plain machine's kernel share. */
#ifndef BARE_H
#define BARE_H

#include "types.h"

static inline void out8(u16 port, u8 value) {
  __asm__ volatile("outb %0, %1" : : "a"(value), "d"(port));
}
static inline u8 in8(u16 port) {
  u8 value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port));
  return value;
}

void say(const char *text);
void say_number(u32 value);

/* One entry of an interrupt table: a gate to a handler in the kernel's code segment. */
u64 gate_to(void (*handler)(void));
void load_idt(const u64 *idt, u32 gates);

void smp_main(void);
void watchdog_main(void);
void reset_main(void);

/* The suite that all personalities share (guests/suite): follows the command behind the mark. */
#define SUITE_MARK '!'
void platform_start(const char *command);

#endif
