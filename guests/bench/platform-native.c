/*
 * The way up for a plain machine, entered by Multiboot: emulators and --abi bare. Marks go out by the first serial port. With the word
 * "ack" on the command line the guest waits for a byte after each mark, for hosts that see its output with a delay.
 */
#include "platform.h"
#include "text.h"

#define LINE_STATUS (PORT_COM1 + 5)
#define RECEIVED 0x01
#define TASK_WORDS 26

extern u8 trap_stack_top[];
extern u64 gdt[];
void load_task_register(void);

static u64 idt[256];
static u32 task[TASK_WORDS];
static int waits_for_ack;

static void out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "d"(port)); }
static u8 in8(u16 port) {
  u8 value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port));
  return value;
}

void put_text(const char *text) {
  for (; *text; text++) {
    out8(PORT_COM1, (u8)*text);
    if (waits_for_ack && (*text == '[' || *text == ']')) {
      while ((in8(LINE_STATUS) & RECEIVED) == 0)
        ;
      in8(PORT_COM1);
    }
  }
}

const char *platform_start(const void *info) {
  const char *command = *(const char *const *)((const u8 *)info + MBI_CMDLINE);
  waits_for_ack = strstr(command, "ack") != NULL;
  return command;
}

void platform_tables_on(u32 directory, pte_t *ram) {
  u32 base = (u32)task;
  (void)ram;
  switch_directory(directory);
  __asm__ volatile("movl %%cr0, %%eax\n\t"
                   "orl %0, %%eax\n\t"
                   "movl %%eax, %%cr0"
                   : : "i"(CR0_PG | CR0_WP) : "eax", "memory");
  struct __attribute__((packed)) {
    u16 limit;
    u32 base;
  } idtr = {sizeof idt - 1, (u32)idt};
  __asm__ volatile("lidt %0" : : "m"(idtr));
  task[1] = (u32)trap_stack_top;
  task[2] = KERNEL_STACK_SELECTOR;
  gdt[5] = (sizeof task - 1) | (u64)(base & 0xffffff) << 16 | (u64)0x89 << 40 | (u64)(base >> 24) << 56;
  load_task_register();
}

void platform_gate(u32 vector, void (*handler)(void), u32 dpl) {
  u32 address = (u32)handler;
  idt[vector] = (u64)((address & 0xffff0000) | 0x8e00 | dpl << 13) << 32 | KERNEL_CODE_SELECTOR << 16 |
                (address & 0xffff);
}

void platform_end(void) {
  for (;;)
    __asm__ volatile("cli; hlt");
}
