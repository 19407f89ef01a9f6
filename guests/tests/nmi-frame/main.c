/*
 * An NMI reaches the handler that the guest registered, with the frame of any trap: at ring 1 on the stack in use, from ring 3 on
 * that of SET_STACK. The interrupt flag does not matter to it and is kept in its frame, a gate of either kind will do, and what was
 * interrupted never notices. The Host sends one every 1,000 instructions.
 */
#include "test.h"

#define ROUNDS 30000
#define ROUND value = value * 1664525 + 1013904223

static u32 nmis, from_user, flag, type, wrong;

static void hook(struct frame *frame) {
  nmis++;
  wrong += (frame->eflags & EFLAGS_IF) != flag;
  /* An interrupt gate turns the flag off, a trap gate leaves it. */
  wrong += lguest_data.irq_enabled != (type == SYSDESC_TRAP_GATE32 ? flag : 0);
  if ((frame->cs & 3) == 3) {
    from_user++;
    wrong += frame->cs != USER_CS || frame->ss != USER_DS || (u32)(frame + 1) != (u32)trap_stack_top;
  } else {
    wrong += frame->cs != KERNEL_CS;
  }
}

static u32 __attribute__((noipa)) compute(u32 rounds) {
  u32 value = 1;
  for (u32 i = 0; i < rounds; i++)
    ROUND;
  return value;
}

static u32 USER_CODE user_compute(u32 rounds) {
  u32 value = 1;
  for (u32 i = 0; i < rounds; i++)
    ROUND;
  return value;
}

void test_main(void) {
  static const u32 types[] = {SYSDESC_INT_GATE32, SYSDESC_TRAP_GATE32}, flags[] = {0, EFLAGS_IF};
  u32 wanted = compute(ROUNDS);
  nmi_hook = hook;
  setup();
  for (u32 i = 0; i < 4; i++) {
    load_gate(VECTOR_NMI, (u32)trap_stubs + 16 * VECTOR_NMI, types[i & 1], 0);
    lguest_data.irq_enabled = flag = flags[i >> 1];
    type = types[i & 1];
    barrier();
    nmis = from_user = wrong = 0;
    check_equal("what ring 1 computed", compute(ROUNDS), wanted);
    check_equal("irq_enabled afterwards", lguest_data.irq_enabled, flag);
    check(nmis > 50, "only %u NMIs at ring 1", nmis);
    check_equal("NMIs from ring 3, at ring 1", from_user, 0);
    check_equal("things wrong at ring 1", wrong, 0);
    /* On the way to ring 3 and back the flag is what the framework makes of it. */
    flag = EFLAGS_IF;
    barrier();
    check_equal("what ring 3 computed", user_call(user_compute, ROUNDS), wanted);
    check(from_user > 50, "only %u NMIs from ring 3", from_user);
  }
}
