/* A handler may fault itself, lie on a page that is not there, and return to one that is not there. */
#include "test.h"

#define WINDOW 0x40000000u
#define HANDLER 0x50000000u
#define TARGET 0x60000000u
#define DEPTH 5

void user_leave(u32 value) __attribute__((noreturn));

static u32 depth, deepest, code_faults, undefined, last_error, last_eip;
static const u8 *code;
static u32 code_bytes, code_at;

static void handle(struct frame *frame) {
  if (frame->vector == SYSCALL_VECTOR) {
    interrupts_off();
    user_leave(frame->eax);
  }
  if (frame->vector == VECTOR_UD) {
    undefined++;
    frame->eip += 2;
    return;
  }
  if (frame->vector != VECTOR_PF)
    error("vector %u at %p", frame->vector, (void *)frame->eip);
  u32 cr2 = fault.cr2;
  u32 page = alloc_page();
  last_error = frame->error;
  last_eip = frame->eip;
  if (cr2 >= HANDLER) {
    code_faults++;
    for (u32 i = 0; i < code_bytes; i++)
      if (((code_at + i) & PAGE_MASK) == (cr2 & PAGE_MASK))
        ((u8 *)page)[(code_at + i) & (PAGE_SIZE - 1)] = code[i];
    map(first_directory, cr2 & PAGE_MASK, page, USER_FLAGS);
    return;
  }
  if (++depth > deepest)
    deepest = depth;
  if (depth < DEPTH)
    poke(WINDOW + depth * PAGE_SIZE, depth);
  map(first_directory, cr2 & PAGE_MASK, page, KERNEL_FLAGS);
  depth--;
}

static void place(u32 at, const u8 *bytes, u32 count) {
  code = bytes;
  code_bytes = count;
  code_at = at;
  code_faults = 0;
}

void test_main(void) {
  setup();
  trap_hook = handle;
  poke(WINDOW, 7);
  check_equal("depth of faults in the handler", deepest, DEPTH);
  check_equal("the first store", peek(WINDOW), 7);
  for (u32 i = 1; i < DEPTH; i++)
    check_equal("a store of the handler", peek(WINDOW + i * PAGE_SIZE), i);

  u32 stub = (u32)trap_stubs + 16 * VECTOR_UD;
  u32 distance = stub - (HANDLER + 5);
  u8 jump[5] = {0xe9, distance, distance >> 8, distance >> 16, distance >> 24};
  place(HANDLER, jump, sizeof jump);
  load_gate(VECTOR_UD, HANDLER, SYSDESC_INT_GATE32, 0);
  __asm__ volatile("ud2" : : : "memory");
  check_equal("faults at a handler that is not there", code_faults, 1);
  check_equal("its error code", last_error, 0);
  check_equal("its EIP", last_eip, HANDLER);
  check_equal("invalid opcodes", undefined, 1);

  static const u8 identity[] = {0x8b, 0x44, 0x24, 0x04, 0xc3};
  place(TARGET, identity, sizeof identity);
  check_equal("iret to a page that is not there", user_call((u32 (*)(u32))TARGET, 99), 99);
  check_equal("its faults", code_faults, 1);
  check_equal("its error code", last_error, PFERR_USER);
  check_equal("its EIP", last_eip, TARGET);

  static const u8 constant[] = {0xb8, 0x44, 0x33, 0x22, 0x11, 0xc3};
  place(TARGET + 0x10ffe, constant, sizeof constant);
  check_equal("code over an edge", user_call((u32 (*)(u32))(TARGET + 0x10ffe), 0), 0x11223344);
  check_equal("its faults", code_faults, 2);
  check_equal("EIP of the second", last_eip, TARGET + 0x10ffe);
}
