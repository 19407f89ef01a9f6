/* The iret call to ring 1: EAX from the frame, the stack past it, the upcall mask from IF and not from the upper half of CS. */
#include "test.h"

static u32 eax, esp_before, esp_after, flags;

/* The frame is built in place; `cs_word` and `image` as given. */
static void iret_with(u32 cs_word, u32 image) {
  __asm__ volatile(
      "movl %%esp, esp_kept\n"
      "pushl %1; pushl %0; pushl $1f; pushl $0x1234\n"
      "movl $0xaaaa, %%eax\n"
      "movl %2, %%eax\n"
      "int %3\n"
      "1: movl %%esp, esp_found; movl %%eax, eax_found; pushfl; popl flags_found\n"
      "movl esp_kept, %%esp\n"
      :
      : "r"(cs_word), "r"(image), "i"(HYPERVISOR_IRET), "i"(TRAP_HYPERCALL)
      : "eax", "memory");
}

u32 esp_kept, esp_found, eax_found, flags_found;

void test_main(void) {
  setup();
  iret_with(KERNEL_CS, EFLAGS_FIXED);
  eax = eax_found, esp_before = esp_kept, esp_after = esp_found;
  check_equal("EAX", eax, 0x1234);
  check_equal("ESP", esp_after, esp_before);
  check_equal("the mask without IF", vcpu->upcall_mask, 1);
  check_equal("IF itself", flags_found & EFLAGS_IF, EFLAGS_IF);
  iret_with(KERNEL_CS | 1 << 16, EFLAGS_FIXED | EFLAGS_IF);
  check_equal("the mask with IF, whatever CS says", vcpu->upcall_mask, 0);
  iret_with(KERNEL_CS, EFLAGS_FIXED | EFLAGS_IOPL | EFLAGS_CF | EFLAGS_NT);
  flags = flags_found;
  check_equal("CF and NT", flags & (EFLAGS_CF | EFLAGS_NT), EFLAGS_CF | EFLAGS_NT);
  check_equal("IOPL", flags & EFLAGS_IOPL, 0);
  __asm__ volatile("pushfl; andl %0, (%%esp); popfl" : : "i"(~EFLAGS_NT));
  check_equal("the mask again", vcpu->upcall_mask, 1);
}
