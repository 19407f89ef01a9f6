/*
 * Resets of the processor that go on: each way to reset it leads to the warm-reset vector, whose code has the firmware start the kernel
 * over; words in conventional memory live through all of it. "resets N" when every way was tried, then a reset without such a vector.
 */
#include "abi.gen.h"
#include "bare.h"

#define RESUME 0x1000u

extern const u8 resume[], resume_end[];

void reset_main(void) {
  volatile u32 *state = (volatile u32 *)0x2000;
  volatile u16 *resumed = (volatile u16 *)0x2004;
  volatile u16 *vector = (volatile u16 *)PC_WARM_RESET_VECTOR;
  /* gcc takes addresses below 4 KiB for no objects. */
  __asm__("" : "+r"(state), "+r"(resumed), "+r"(vector));
  for (u32 i = 0; resume + i < resume_end; i++)
    ((volatile u8 *)RESUME)[i] = resume[i];
  vector[0] = RESUME;
  vector[1] = 0;
  out8(PORT_RTC_INDEX, CMOS_SHUTDOWN);
  out8(PORT_RTC_DATA, SHUTDOWN_JUMP);
  switch ((*state)++) {
  case 0:
    out8(PORT_SYSTEM_CONTROL_A, 3);
    break;
  case 1:
    out8(PORT_KEYBOARD_COMMAND, 0xfe);
    break;
  case 2:
    out8(PORT_RESET_CONTROL, RESET_CONTROL_NOW);
    break;
  case 3:
    *(volatile u32 *)(APIC_GPA + APIC_ICR_LOW) = 0x44000 | DELIVERY_INIT << 8;
    break;
  default:
    say("resets ");
    say_number(*resumed);
    say("\n");
    out8(PORT_RTC_INDEX, CMOS_SHUTDOWN);
    out8(PORT_RTC_DATA, 0);
    out8(PORT_KEYBOARD_COMMAND, 0xfe);
  }
  __asm__ volatile("cli; hlt");
}
