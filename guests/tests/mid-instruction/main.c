/* An instruction that faults at any of its accesses has done nothing, and does everything once the page is there. */
#include "test.h"

#define WINDOW 0x40000000u
#define SECOND (WINDOW + PAGE_SIZE)
#define MAGIC 0x12345678u

void user_leave(u32 value) __attribute__((noreturn));

static u32 faults, first_cr2, first_error, first_eip, first_esp, strays;

/* Maps what is missing; at every fault of one instruction the stack pointer and the instruction must be as at the first. */
static void fill(struct frame *frame) {
  if (frame->vector == SYSCALL_VECTOR) {
    interrupts_off();
    user_leave(frame->eax);
  }
  if (frame->vector != VECTOR_PF)
    error("vector %u at %p", frame->vector, (void *)frame->eip);
  u32 lin = fault.cr2 & PAGE_MASK;
  if (faults++ == 0) {
    first_cr2 = fault.cr2;
    first_error = frame->error;
    first_eip = frame->eip;
    first_esp = frame->esp;
  } else if (frame->eip != first_eip || frame->esp != first_esp) {
    strays++;
  }
  u32 other = lin == WINDOW ? SECOND : WINDOW;
  if (*pte_of(first_directory, other) & PTE_P)
    for (u32 at = 0; at < PAGE_SIZE; at += 4)
      if (peek(other + at) != MAGIC)
        strays++;
  map(first_directory, lin, (u32)*pte_of(first_directory, lin) & PAGE_MASK, USER_FLAGS);
}

/* Two pages of MAGIC at WINDOW, of which `present` are there. */
static u32 pages[2];
static void prepare(u32 present) {
  for (u32 i = 0; i < 2; i++) {
    for (u32 at = 0; at < PAGE_SIZE; at += 4)
      poke(pages[i] + at, MAGIC);
    u32 lin = WINDOW + i * PAGE_SIZE;
    map(first_directory, lin, pages[i], present >> i & 1 ? USER_FLAGS : 0);
    set_pte(first_directory, lin, 0);
  }
  faults = strays = 0;
}

static void expect(const char *what, u32 wanted, u32 cr2, u32 wanted_error) {
  check(faults == wanted, "%s: %u faults, wanted %u", what, faults, wanted);
  check(first_cr2 == cr2 && first_error == wanted_error, "%s: cr2 %p error %x, wanted %p %x", what, (void *)first_cr2,
        first_error, (void *)cr2, wanted_error);
  check(strays == 0, "%s: the instruction left something behind", what);
}

/* `code` with ESP at the argument; ESP afterwards is the result. */
#define ON_STACK(name, code)                                                                                       \
  static u32 USER_CODE name(u32 esp) {                                                                             \
    u32 left;                                                                                                      \
    __asm__ volatile("pushl %%ebp; movl %%esp, %%edi; movl %1, %%esp\n" code                                       \
                     "\n\tmovl %%esp, %0; movl %%edi, %%esp; popl %%ebp"                                           \
                     : "=&a"(left) : "c"(esp) : "edx", "ebx", "esi", "edi", "memory");                             \
    return left;                                                                                                   \
  }

ON_STACK(do_push, "pushl $0x55")
ON_STACK(do_pusha, "movl $0x77, %%eax; pusha")
ON_STACK(do_far_call, "lcall $0x73, $1f\n1: popl %%edx; popl %%ebx; pushl %%ebx")
ON_STACK(do_enter, "leal -64(%%edi), %%ebp; enter $16, $3")
ON_STACK(do_push_memory, "pushl 0x40001ffe")

/* An instruction on the memory operand at the argument. */
#define ON_MEMORY(name, code)                                                                                      \
  static u32 USER_CODE name(u32 at) {                                                                              \
    u32 left = 0x66;                                                                                               \
    __asm__ volatile(code : "+a"(left), "+c"(at) : : "edx", "ebx", "esi", "edi", "memory");                        \
    return left;                                                                                                   \
  }

ON_MEMORY(do_xchg, "xchgl %%eax, (%%ecx)")
ON_MEMORY(do_xadd, "lock; xaddl %%eax, (%%ecx)")
ON_MEMORY(do_store, "movl %%eax, (%%ecx)")
ON_MEMORY(do_load, "movl (%%ecx), %%eax")
ON_MEMORY(do_add, "addl %%eax, (%%ecx)")
ON_MEMORY(do_cmpxchg8b,
          "movl $0x12345678, %%eax; movl %%eax, %%edx; movl $1, %%ebx; movl %%ecx, %%esi; movl $2, %%ecx;"
          "cmpxchg8b (%%esi); sete %%al; movzbl %%al, %%eax")
ON_MEMORY(do_bts, "movl $0x8000, %%edx; btsl %%edx, (%%ecx); setc %%al; movzbl %%al, %%eax")
ON_MEMORY(do_movs, "movl %%ecx, %%esi; leal 2048(%%ecx), %%edi; movsl; leal (%%esi), %%eax")
ON_MEMORY(do_rep_stos, "movl %%ecx, %%edi; movl $1024, %%ecx; rep stosl; movl %%ecx, %%eax")
ON_MEMORY(do_rep_movs_down,
          "leal 2(%%ecx), %%esi; movl %%ecx, %%edi; movl $1025, %%ecx; std; rep movsw; cld; movl %%ecx, %%eax")
ON_MEMORY(do_rep_scas, "movl %%ecx, %%edi; movl $0x12345678, %%eax; movl $1024, %%ecx; repe scasl; movl %%ecx, %%eax")

void test_main(void) {
  const u32 write = PFERR_USER | PFERR_WRITE, read = PFERR_USER;
  setup();
  pages[0] = alloc_page();
  pages[1] = alloc_page();
  trap_hook = fill;

  prepare(2);
  check_equal("ESP after push", user_call(do_push, SECOND), SECOND - 4);
  expect("push", 1, SECOND - 4, write);
  check_equal("pushed", peek(SECOND - 4), 0x55);

  prepare(2);
  check_equal("ESP after pusha", user_call(do_pusha, SECOND + 16), SECOND - 16);
  expect("pusha", 1, SECOND - 4, write);
  check_equal("EAX pushed", peek(SECOND + 12), 0x77);

  prepare(2);
  check_equal("ESP after far call", user_call(do_far_call, SECOND + 4), SECOND);
  expect("far call", 1, SECOND - 4, write);
  check_equal("CS pushed", peek(SECOND) & 0xffff, USER_CS);

  prepare(2);
  check_equal("ESP after enter", user_call(do_enter, SECOND + 8), SECOND - 24);
  check(faults == 1 && strays == 0, "enter: %u faults, %u strays", faults, strays);

  prepare(0);
  check_equal("ESP after push of memory", user_call(do_push_memory, WINDOW + 0x800), WINDOW + 0x7fc);
  check(faults == 3 || faults == 2, "push of memory: %u faults", faults);
  check_equal("strays", strays, 0);

  prepare(1);
  check_equal("xchg", user_call(do_xchg, SECOND - 2), MAGIC << 16 | MAGIC >> 16);
  expect("xchg", 1, SECOND, write);
  check_equal("exchanged, low", peek(SECOND - 4), 0x66 << 16 | (MAGIC & 0xffff));
  prepare(1);
  check_equal("xadd", user_call(do_xadd, SECOND - 1), (MAGIC << 8 & 0xffffff00) | MAGIC >> 24);
  expect("xadd", 1, SECOND, write);
  prepare(1);
  user_call(do_store, SECOND - 3);
  expect("store", 1, SECOND, write);
  prepare(2);
  user_call(do_store, SECOND - 3);
  expect("store, first page", 1, SECOND - 3, write);
  prepare(1);
  check_equal("load", user_call(do_load, SECOND - 2), MAGIC << 16 | MAGIC >> 16);
  expect("load", 1, SECOND, read);
  prepare(1);
  user_call(do_add, SECOND - 2);
  expect("add", 1, SECOND, write);
  prepare(1);
  check_equal("cmpxchg8b", user_call(do_cmpxchg8b, SECOND - 4), 1);
  expect("cmpxchg8b", 1, SECOND, write);
  check(peek(SECOND - 4) == 1 && peek(SECOND) == 2, "cmpxchg8b left %x %x", peek(SECOND - 4), peek(SECOND));
  prepare(1);
  check_equal("bts", user_call(do_bts, WINDOW), 0);
  expect("bts", 1, SECOND, write);
  check_equal("bit", peek(SECOND), MAGIC | 1);
  prepare(1);
  check_equal("ESI after movs", user_call(do_movs, WINDOW + 2048), WINDOW + 2052);
  expect("movs", 1, SECOND, write);
  check_equal("moved", peek(SECOND), MAGIC);

  /* Repeated ones have done the elements before the fault: the page that is there shows them. */
  prepare(1);
  check_equal("ECX after rep stos", user_call(do_rep_stos, WINDOW + 2048), 0);
  check(faults == 1 && first_cr2 == SECOND, "rep stos: %u faults, cr2 %p", faults, (void *)first_cr2);
  check(peek(SECOND - 4) == 0x66 && peek(SECOND + 2044) == 0x66 && peek(SECOND + 2048) == MAGIC, "rep stos stored wrong");
  prepare(1);
  check_equal("ECX after rep scas", user_call(do_rep_scas, WINDOW + 2048), 0);
  expect("rep scas", 1, SECOND, read);
  prepare(2);
  check_equal("ECX after rep movs downward", user_call(do_rep_movs_down, SECOND + 1022), 0);
  check(faults == 1 && first_cr2 < SECOND, "rep movs downward: %u faults, cr2 %p", faults, (void *)first_cr2);
}
