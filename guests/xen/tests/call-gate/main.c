/* A call gate leads from ring 3 into ring 1, on the stack of stack_switch, if its DPL lets it. */
#include "test.h"

static u64 table[512] __attribute__((aligned(4096)));
u32 cs_inside, esp_inside;

static u32 USER_CODE through_gate(u32 argument) {
  __asm__ volatile("lcall %1, $0" : "+a"(argument) : "i"(4 << 3 | 3) : "ecx", "edx", "memory");
  return argument;
}
static u32 USER_CODE through_closed(u32 argument) {
  __asm__ volatile("lcall %0, $0" : : "i"(5 << 3 | 3));
  return argument;
}

void gate_entry(void);
__asm__("gate_entry: movl $0xe021, %ecx; movl %ecx, %ds; movw %cs, cs_inside; movl %esp, esp_inside\n"
        "incl %eax; movl $0xe033, %ecx; movl %ecx, %ds; lret");

void test_main(void) {
  setup();
  table[4] = call_gate(KERNEL_CS, (u32)gate_entry, 0xec);
  table[5] = call_gate(KERNEL_CS, (u32)gate_entry, 0xac);
  set_access(table, READ_ONLY_FLAGS);
  u32 frame = mfn_of(table);
  check_answer("set_gdt", set_gdt(&frame, 512), 0);
  check_equal("what comes back", user_call(through_gate, 41), 42);
  check_equal("CS inside", cs_inside, KERNEL_CS);
  check_equal("ESP inside", esp_inside, (u32)trap_stack_top - 16);
  user_call(through_closed, 0);
  expect_fault("a gate with DPL 1", VECTOR_GP, 5 << 3);
}
