/* What a domain finds at its start: registers, struct start_info, the list of frames, its page tables and the shared page. */
#include "test.h"

static void check_registers(void) {
  u16 cs, ds, es, ss, fs, gs;
  __asm__("movw %%cs, %0; movw %%ds, %1; movw %%es, %2; movw %%ss, %3" : "=r"(cs), "=r"(ds), "=r"(es), "=r"(ss));
  __asm__("movw %%fs, %0; movw %%gs, %1" : "=r"(fs), "=r"(gs));
  check_equal("CS", cs, FLAT_RING1_CS);
  check_equal("DS", ds, FLAT_RING1_DS);
  check_equal("ES", es, FLAT_RING1_DS);
  check_equal("SS", ss, FLAT_RING1_SS);
  check_equal("FS", fs, FLAT_RING1_DS);
  check_equal("GS", gs, FLAT_RING1_DS);
  check_equal("ESI", start_registers[4], (u32)start_info);
  check_equal("EFLAGS", start_registers[8] & ~EFLAGS_ARITH, EFLAGS_IF | EFLAGS_FIXED);
  u32 tables_end = start_info->pt_base + start_info->nr_pt_frames * PAGE_SIZE;
  check_equal("ESP at the end of the page behind the tables", start_registers[7], tables_end + PAGE_SIZE);
}

static void check_start_info(void) {
  check(!strcmp(start_info->magic, START_MAGIC_TEXT), "the magic is %s", start_info->magic);
  check_equal("nr_pages", start_info->nr_pages, 8u << 8);
  check_equal("flags", start_info->flags, 0);
  check_equal("mod_start", start_info->mod_start, 0);
  check_equal("mod_len", start_info->mod_len, 0);
  check_equal("shared_info in its page", start_info->shared_info % PAGE_SIZE, 0);
  check(!strcmp(start_info->cmd_line, "one two"), "the command line is %s", start_info->cmd_line);
  check(start_info->store_evtchn && start_info->console_evtchn, "ports %u and %u", start_info->store_evtchn,
        start_info->console_evtchn);
  check_equal("status of the store's port", status_of(start_info->store_evtchn), EVTCHNSTAT_INTERDOMAIN);
  check_equal("status of the console's port", status_of(start_info->console_evtchn), EVTCHNSTAT_INTERDOMAIN);
}

static void check_frames(void) {
  u32 *list = (u32 *)start_info->mfn_list;
  u32 same = 0;
  for (u32 pfn = 0; pfn < start_info->nr_pages; pfn++) {
    same += list[pfn] == pfn;
    if (M2P[list[pfn]] != pfn) {
      check(0, "the M2P takes %x back to %x, not %x", list[pfn], M2P[list[pfn]], pfn);
      break;
    }
  }
  check_equal("pages whose two numbers agree", same, 0);
  check_equal("the store's page", (u32)page_of(start_info->store_mfn) >> 12 < start_info->nr_pages, 1);
  check_equal("the console's page", (u32)page_of(start_info->console_mfn) >> 12 < start_info->nr_pages, 1);
}

static void check_tables(void) {
  check_equal("the top table is the first", (u32)l3_table(), start_info->pt_base);
  for (u32 lin = start_info->pt_base; lin < start_info->pt_base + start_info->nr_pt_frames * PAGE_SIZE; lin += PAGE_SIZE)
    check(!(*l1_entry(lin) & PTE_RW), "a page table at %p is writable", (void *)lin);
  u32 kernel = (u32)check_tables & PAGE_MASK;
  check_equal("the kernel's entry", (u32)*l1_entry(kernel), (u32)entry_for((void *)kernel, PTE_P | PTE_RW | PTE_A | PTE_D));
  for (u32 slot = 0; slot < 4; slot++)
    check(l3_table()[slot] & PTE_P, "there is no L2 table %u", slot);
  check_answer("pinning the top table again", extended(MMUEXT_PIN_L3_TABLE, mfn_of(l3_table()), 0), -XEN_EINVAL);
  /* The mapped area ends with 512 KiB to spare, at a multiple of 4 MiB. */
  u32 end = ROUND_UP(start_registers[7] + 0x80000, 0x400000);
  check(*l1_entry(end - PAGE_SIZE) & PTE_P, "the page below %p is not mapped", (void *)end);
  check(!(*l2_entry(end) & PTE_P), "there is an L1 table behind %p", (void *)end);
}

static void check_shared(void) {
  shared_info_init();
  for (u32 id = 0; id < XEN_LEGACY_MAX_VCPUS; id++)
    check_equal("an upcall mask", shared->vcpu_info[id].upcall_mask, 1);
  check_equal("pending", vcpu->upcall_pending, 0);
  check_equal("pending_sel", vcpu->pending_sel, 0);
  check(vcpu->time_version && !(vcpu->time_version & 1), "the time's version is %u", vcpu->time_version);
  check(vcpu->tsc_to_system_mul, "the counter has no rate");
  check(shared->wc_version && !(shared->wc_version & 1), "the wall clock's version is %u", shared->wc_version);
  check_equal("the wall clock's seconds", shared->wc_sec, 1767225600);
  check_equal("max_pfn", shared->max_pfn, 0);
}

void test_main(void) {
  check_registers();
  check_start_info();
  check_frames();
  check_tables();
  check_shared();
}
