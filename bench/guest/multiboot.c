/* The guest for v86: a multiboot kernel with paging on that runs the plan at ring 3 and talks through the serial port. */
#include "kernels.h"
#include "abi.gen.h"

#define SERIAL_PORT 0x3f8
#define MAPPED_BYTES (16u << 20)
#define TABLE_BYTES (4u << 20)
#define STACK_BYTES 4096

extern u8 user_start[], user_end[], trap_stack_top[];
extern u64 gdt[];
void load_task_register(void);
void unexpected(void);
void system_call(void);
void user_exit(void);
u32 enter_ring3(u32 eip, u32 esp);
void fault(void);
void multiboot_main(void);

static u32 directory[1024] __attribute__((aligned(4096)));
static u32 tables[MAPPED_BYTES / PAGE_SIZE] __attribute__((aligned(4096)));
static u64 idt[256];
static u32 task[26];
static u32 user_stack[STACK_BYTES / 4] __attribute__((section(".user.data"))) = {0};

void put_text(const char *text) {
  for (; *text; text++)
    __asm__ volatile("outb %0, %1" : : "a"(*text), "d"((u16)SERIAL_PORT));
}

void fault(void) { put_text("fault\n"); }

u32 call_at_ring3(u32 (*function)(u32 rounds), u32 rounds) {
  u32 *esp = user_stack + COUNT_OF(user_stack) - 4;
  *--esp = rounds;
  *--esp = (u32)user_exit;
  return enter_ring3((u32)function, (u32)esp);
}

static void paging_on(void) {
  for (u32 lin = 0; lin < MAPPED_BYTES; lin += PAGE_SIZE) {
    int user = lin >= (u32)user_start && lin < (u32)user_end;
    tables[lin / PAGE_SIZE] = lin | PTE_P | PTE_RW | (user ? PTE_US : 0);
  }
  for (u32 i = 0; i < MAPPED_BYTES / TABLE_BYTES; i++)
    directory[i] = (u32)(tables + i * 1024) | PTE_P | PTE_RW | PTE_US;
  __asm__ volatile("movl %0, %%cr3\n\t"
                   "movl %%cr0, %%eax\n\t"
                   "orl %1, %%eax\n\t"
                   "movl %%eax, %%cr0"
                   : : "r"(directory), "i"(CR0_PG | CR0_WP) : "eax", "memory");
}

static u64 gate(void (*handler)(void), u32 dpl) {
  u32 address = (u32)handler;
  return (u64)((address & 0xffff0000) | 0x8e00 | dpl << 13) << 32 | 0x08 << 16 | (address & 0xffff);
}

static void traps_on(void) {
  for (u32 vector = 0; vector < COUNT_OF(idt); vector++)
    idt[vector] = gate(unexpected, 0);
  idt[0x80] = gate(system_call, 3);
  struct __attribute__((packed)) {
    u16 limit;
    u32 base;
  } idtr = {sizeof idt - 1, (u32)idt};
  __asm__ volatile("lidt %0" : : "m"(idtr));
  u32 base = (u32)task;
  task[1] = (u32)trap_stack_top;
  task[2] = 0x10;
  gdt[5] = (sizeof task - 1) | (u64)(base & 0xffffff) << 16 | (u64)0x89 << 40 | (u64)(base >> 24) << 56;
  load_task_register();
}

void multiboot_main(void) {
  paging_on();
  traps_on();
  run_plan();
}
