/*
 * SHUTDOWN_suspend: cancelled (1), the domain goes on as it was; resumed (0), it finds the same pages with other frames behind them, new
 * event channels, and itself where it stood: registers, descriptors, trap table, page tables.
 */
#include "test.h"

static u64 table[512] __attribute__((aligned(4096)));
static u32 numbers[4] = {0x3fc00000, 0xc0100000, 0x40400000, 0x47800000};

/* What the toolstack needs to find every frame of the domain. */
static void tell_frames(void) {
  u32 *top = alloc_page();
  u32 *list = alloc_page();
  for (u32 page = 0; page * 1024 < start_info->nr_pages; page++)
    list[page] = mfn_of((u8 *)start_info->mfn_list + page * PAGE_SIZE);
  top[0] = mfn_of(list);
  shared->max_pfn = start_info->nr_pages;
  shared->frame_list_list = mfn_of(top);
}

static s32 suspend(u32 *fs, u32 *lane) {
  u32 reason = SHUTDOWN_SUSPEND;
  u32 store = start_info->store_mfn;
  u32 console = start_info->console_mfn;
  start_info->store_mfn = M2P[store];
  start_info->console_mfn = M2P[console];
  check_answer("unmapping shared_info", update_va_mapping((u32)shared, 0, UVMF_INVLPG), 0);
  __asm__ volatile("movups %0, %%xmm5" : : "m"(numbers));
  s32 answer = hypercall3(HYPERVISOR_SCHED_OP, SCHEDOP_SHUTDOWN, &reason, mfn_of(start_info));
  u32 after[4];
  __asm__ volatile("movups %%xmm5, %0\n\tmovw %%fs, %w1" : "=m"(after), "=r"(*fs));
  *lane = after[3];
  if (answer) {
    start_info->store_mfn = store;
    start_info->console_mfn = console;
  }
  shared_info_init();
  return answer;
}

/* struct xen_memory_map, and one of its entries. */
struct memory_map {
  u32 count;
  void *entries;
};
struct range {
  u64 from, bytes;
  u32 type;
} __attribute__((packed));

static void set_memory_map(void) {
  struct range ranges[2] = {{0, 0x100000, 1}, {0x100000, 0x1000, 2}};
  struct {
    u32 domid;
    struct memory_map map;
  } op = {DOMID_SELF, {2, ranges}};
  check_answer("setting the map of memory", memory_op(XENMEM_SET_MEMORY_MAP, &op), 0);
}
static void check_memory_map(void) {
  struct range ranges[4];
  struct memory_map map = {4, ranges};
  check_answer("the map of memory", memory_op(XENMEM_MEMORY_MAP, &map), 0);
  check_equal("its entries", map.count, 2);
  check_equal("the type of the second", ranges[1].type, 2);
}

void test_main(void) {
  setup();
  set_memory_map();
  table[4] = descriptor((u32)numbers, 0xfff, 0x93, 4);
  set_access(table, READ_ONLY_FLAGS);
  u32 frame = mfn_of(table);
  check_answer("set_gdt", set_gdt(&frame, 512), 0);
  u32 *page = alloc_page();
  check_answer("a mapping of its own", map(FREE_LIN, entry_for(page, KERNEL_FLAGS)), 0);
  poke(FREE_LIN, 0x12345678);
  check_answer("other page tables, pinned", extended(MMUEXT_PIN_L3_TABLE, mfn_of(new_tables()), 0), 0);
  u32 port = bind_virq(VIRQ_DEBUG);
  u64 before = system_time();
  tell_frames();
  __asm__ volatile("movw %w0, %%fs" : : "r"(4 << 3 | 1));
  u32 fs;
  u32 lane;
  s32 answer = suspend(&fs, &lane);
  u32 word;
  __asm__ volatile("movl %%fs:0, %0" : "=r"(word));
  check_equal("FS", fs & 0xffff, 4 << 3 | 1);
  check_equal("what it leads to", word, numbers[0]);
  check_equal("an XMM register", lane, numbers[3]);
  check(system_time() >= before, "time went back");
  check_equal("the page", *page, 0x12345678);
  check_equal("its mapping", peek(FREE_LIN), 0x12345678);
  check_equal("the machine-to-physical table", M2P[mfn_of(page)], (u32)page >> 12);
  check(l1_entry(FREE_LIN)[0] >> 12 == mfn_of(page), "the entry has another frame than the list");
  expect_read_only("the descriptors", table);
  expect_read_only("a page table", l1_entry(FREE_LIN));
  check_memory_map();
  TRY("ud2");
  expect_fault("a fault", VECTOR_UD, 0);
  check_answer("mapping the descriptors writable", update_va_mapping((u32)table, entry_for(table, KERNEL_FLAGS), UVMF_INVLPG),
               -XEN_EBUSY);
  if (answer == 1) {
    check_equal("the channel", status_of(port), EVTCHNSTAT_VIRQ);
    printk("cancelled\n");
  } else {
    check_answer("the call", answer, 0);
    check_equal("the channel", status_of(port), EVTCHNSTAT_CLOSED);
    check_equal("the store's channel", status_of(start_info->store_evtchn), EVTCHNSTAT_INTERDOMAIN);
    check_equal("the flags", start_info->flags, 0);
    printk("resumed\n");
  }
  success();
}
