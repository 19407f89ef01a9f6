/*
 * A kernel for a plain machine: says on COM1 how it was started and with what, counts ten timer interrupts while halted, and
 * leaves through the debug-exit port with the command line's first digit. "hang" halts for good, "triple" faults for good, "smp",
 * "watchdog" and "reset" go to files of their own.
 */
#include "abi.gen.h"
#include "bare.h"
#include "types.h"

#define IRQ_VECTOR 0x20
#define TICKS 10
#define HUNDRED_HZ (PIT_HZ / 100)

void bare_main(u32 magic, const u32 *info);
void timer_interrupt(void);
void on_timer(void);

static volatile u32 ticks;
static u64 idt[IRQ_VECTOR + 1];

static void put(char c) {
  while ((in8(PORT_COM1 + 5) & 0x20) == 0)
    ;
  out8(PORT_COM1, (u8)c);
}
void say(const char *text) {
  while (*text)
    put(*text++);
}
void say_number(u32 value) {
  if (value >= 10)
    say_number(value / 10);
  put((char)('0' + value % 10));
}

void on_timer(void) {
  ticks++;
  out8(PORT_PIC_MASTER, 0x20);
}

u64 gate_to(void (*handler)(void)) {
  u32 at = (u32)handler;
  return (u64)((at & 0xffff0000) | 0x8e00) << 32 | 0x08 << 16 | (at & 0xffff);
}

void load_idt(const u64 *table, u32 gates) {
  struct __attribute__((packed)) {
    u16 limit;
    u32 base;
  } idtr = {(u16)(gates * 8 - 1), (u32)table};
  __asm__ volatile("lidt %0" : : "m"(idtr));
}

static void interrupts_on(void) {
  idt[IRQ_VECTOR] = gate_to(timer_interrupt);
  load_idt(idt, COUNT_OF(idt));
  out8(PORT_PIC_MASTER, 0x11);
  out8(PORT_PIC_MASTER + 1, IRQ_VECTOR);
  out8(PORT_PIC_MASTER + 1, 4);
  out8(PORT_PIC_MASTER + 1, 1);
  out8(PORT_PIC_MASTER + 1, 0xfe);
  out8(PORT_PIT_CONTROL, 0x34);
  out8(PORT_PIT, HUNDRED_HZ & 0xff);
  out8(PORT_PIT, HUNDRED_HZ >> 8);
}

void bare_main(u32 magic, const u32 *info) {
  int is_multiboot = magic == MULTIBOOT_BOOT_MAGIC;
  const char *command = (const char *)(is_multiboot ? info[MBI_CMDLINE / 4] : info[6]);
  if (command[0] == SUITE_MARK)
    platform_start(command + 1);
  u32 modules = is_multiboot ? info[MBI_MODS_COUNT / 4] : info[3];
  const u32 *list = (const u32 *)(is_multiboot ? info[MBI_MODS_ADDR / 4] : info[4]);
  say(is_multiboot ? "multiboot" : "pvh");
  say(" [");
  say(command);
  say("] modules ");
  say_number(modules);
  if (modules > 0) {
    put(' ');
    put(*(const char *)list[0]);
  }
  put('\n');
  if (command[0] == 'h')
    __asm__ volatile("cli; hlt");
  if (command[0] == 's')
    smp_main();
  if (command[0] == 'w')
    watchdog_main();
  if (command[0] == 'r')
    reset_main();
  if (command[0] == 't')
    __asm__ volatile("lidt %0; int3" : : "m"(*(const u64 *)(idt + 1)));
  interrupts_on();
  while (ticks < TICKS)
    __asm__ volatile("sti; hlt; cli");
  say("ticks ");
  say_number(ticks);
  put('\n');
  out8(PORT_DEBUG_EXIT, (u8)(command[0] - '0'));
}
