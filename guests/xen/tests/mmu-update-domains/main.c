/* mmu_update and mmuext_op act for the caller only: other domains' pages are not to be had by naming them. */
#include "test.h"

void test_main(void) {
  setup();
  struct mmu_update request = {machine(l1_entry(FREE_LIN)), 0};
  struct mmuext_op op = {MMUEXT_TLB_FLUSH_LOCAL, 0, 0};
  check_answer("a domain that is none", mmu_update(&request, 1, NULL, 0x7123), -XEN_ESRCH);
  check_answer("tables of a domain that is none", mmu_update(&request, 1, NULL, 0x7124 << 16 | DOMID_SELF), -XEN_ESRCH);
  check_answer("a domain that is none", mmuext_op(&op, 1, NULL, 0x7123), -XEN_ESRCH);
  check_answer("update_va_mapping_otherdomain",
               hypercall(HYPERVISOR_UPDATE_VA_MAPPING_OTHERDOMAIN, FREE_LIN, 0, 0, 0, 0x7123), -XEN_ESRCH);
  check_answer("for itself", hypercall(HYPERVISOR_UPDATE_VA_MAPPING_OTHERDOMAIN, FREE_LIN, 0, 0, 0, DOMID_SELF), 0);
}
