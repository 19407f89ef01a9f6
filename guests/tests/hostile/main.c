/*
 * A kernel that means harm, or has lost its mind: random hypercalls, ring slots, page entries, descriptors, device rings and
 * ports, from the seed on the command line ("seed=N"). However it ends, the Host must name the end and stay whole.
 */
#include "device-page.h"
#include "test.h"

#define ROUNDS 4000
#define SPACE_BYTES 0x40000u

static u32 state;

static u32 random_word(void) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

static u32 below(u32 limit) { return random_word() % limit; }

/* Mostly addresses and numbers that get past the first check, so that the second one is reached too. */
static u32 argument(void) {
  static const u32 edges[] = {0, 1, 2, 3, 8, 31, 32, 63, 64, 255, 256, 1023, 1024, 0xfff, 0x1000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff};
  switch (below(8)) {
  case 0: return edges[below(COUNT_OF(edges))];
  case 1: return ram_bytes() + below(0x10000) - 0x8000;
  case 2: return KERNEL_HALF + below(0x1000000);
  case 3: return random_word();
  case 4: return first_directory;
  case 5: return below(ram_bytes()) & PAGE_MASK;
  case 6: return (u32)&lguest_data + below(sizeof lguest_data);
  default: return below(ram_bytes());
  }
}

/* One call. Nearly all of them respect what is checked first, or the guest would be ended before it did any harm. */
static struct hcall_args any_call(void) {
  struct hcall_args call = {below(LHCALL_COUNT), argument(), argument(), argument(), argument()};
  if (!below(400))
    return call;
  switch (call.nr) {
  case LHCALL_NEW_PGTABLE:
    call.arg1 = below(20) ? first_directory : below(ram_bytes());
    break;
  case LHCALL_LOAD_IDT_ENTRY:
    call.arg1 = 0x30 + below(0x50);
    call.arg3 = (call.arg3 & ~0xf00u) | 0xe00 | below(2) << 8;
    break;
  case LHCALL_SET_STACK:
    call.arg1 = KERNEL_DS;
    call.arg2 = (u32)trap_stack_top - below(64);
    call.arg3 = below(2);
    break;
  case LHCALL_SET_PMD:
    call.arg2 = below(512);
    break;
  case LHCALL_SET_PTE:
    call.arg3 = (below(ram_bytes()) & ~PTE_PS) | below(2);
    call.arg4 = 0;
    break;
  case LHCALL_SET_PGD:
    call.arg2 = below(PAE_GUEST ? 4 : 1024);
    break;
  case LHCALL_LOAD_TLS:
    call.arg1 = below(ram_bytes() - 64);
    break;
  case LHCALL_LOAD_GDT_ENTRY:
    call.arg1 = 18 + below(14);
    break;
  case LHCALL_SET_CLOCKEVENT:
    call.arg1 = below(100000);
    break;
  case LHCALL_FLUSH_TLB:
  case LHCALL_TS:
  case LHCALL_SEND_INTERRUPTS:
    break;
  default:
    call.nr = LHCALL_FLUSH_ASYNC;
  }
  return call;
}

static void *back[5];

/* Whatever it was, go on with the next round. */
static void give_up_round(struct frame *frame) {
  (void)frame;
  __builtin_longjmp(back, 1);
}

static void poke_devices(void) {
#ifdef LGUEST_PCI
  port_out(PCI_CONFIG_ADDRESS_PORT, PCI_CONFIG_ENABLE | below(4) << 11 | below(64) << 2);
  port_out(PCI_CONFIG_DATA_PORT, argument());
  port_in(PCI_CONFIG_DATA_PORT);
#else
  static struct page_console console;
  if (!console.device)
    console_start(&console);
  volatile struct vring_desc *entry = &console.out.desc[below(8)];
  entry->address = below(400) ? below(ram_bytes() - 512) : argument();
  entry->length = below(400) ? below(300) : random_word();
  entry->flags = below(400) ? 0 : random_word();
  entry->next = below(400) ? below(8) : random_word();
  console.out.avail->ring[console.out.avail->index % console.out.entries] = below(400) ? below(8) : random_word();
  console.out.avail->index += below(400) ? 1 : random_word();
  hcall1(LHCALL_NOTIFY, below(400) ? console.out_address : ram_bytes() + below(SPACE_BYTES));
  if (!below(400))
    *(volatile u8 *)(ram_bytes() + below(64)) = random_word();
#endif
}

static void act(void) {
  struct hcall_args call;
  switch (below(12)) {
  case 0:
  case 1:
  case 2:
  case 3:
    call = any_call();
    if (below(2))
      ring_add(call.nr, call.arg1, call.arg2, call.arg3, call.arg4);
    else
      hcall(call.nr, call.arg1, call.arg2, call.arg3, call.arg4);
    break;
  case 4:
    hcall0(below(2) ? LHCALL_FLUSH_ASYNC : LHCALL_SEND_INTERRUPTS);
    break;
  case 5:
    *pte_of(first_directory, 0x40000000 + below(0x100000)) = below(ram_bytes()) & (PAGE_MASK | PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D | PTE_G);
    break;
  case 6:
    poke(0x40000000 + below(0x100000), random_word());
    break;
  case 7:
    hcall3(LHCALL_LOAD_GDT_ENTRY, 18 + below(14), random_word(), random_word());
    break;
  case 8:
    __asm__ volatile("movw %w0, %%gs" : : "r"(below(300)));
    break;
  case 9:
    poke_devices();
    break;
  case 10:
    lguest_data.irq_enabled = below(2) ? EFLAGS_IF : 0;
    lguest_data.blocked_interrupts = random_word();
    break;
  case 11:
    hcall1(LHCALL_SET_CLOCKEVENT, below(100000));
    break;
  }
}

void test_main(void) {
  u32 text = LGUEST_CMDLINE_GPA;
  __asm__("" : "+r"(text));
  const char *seed = strstr((const char *)text, "seed=");
  state = seed ? parse_number(seed + 5, 1) * 2654435761u | 1 : 1;
  trap_hook = give_up_round;
  setup();
  static volatile u32 round;
  __builtin_setjmp(back);
  while (round++ < ROUNDS)
    act();
}
