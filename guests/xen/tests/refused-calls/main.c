/* Calls of the toolstack and of other guests: what a domain without privileges is answered. */
#include "test.h"

void test_main(void) {
  setup();
  u32 request[32] = {1, XEN_SYSCTL_INTERFACE_VERSION};
  check_answer("sysctl", hypercall1(HYPERVISOR_SYSCTL, request), -XEN_EPERM);
  request[1] = 1;
  check_answer("sysctl of another version", hypercall1(HYPERVISOR_SYSCTL, request), -XEN_EACCES);
  check_answer("domctl of another version", hypercall1(HYPERVISOR_DOMCTL, request), -XEN_EACCES);
  check_answer("sysctl without an argument", hypercall1(HYPERVISOR_SYSCTL, FREE_LIN), -XEN_EFAULT);
  request[0] = 17, request[1] = XENPF_INTERFACE_VERSION;
  check_answer("platform_op", hypercall1(HYPERVISOR_PLATFORM_OP, request), -XEN_EPERM);
  static char text[] = "text";
  check_answer("writing to Xen's console", hypercall3(HYPERVISOR_CONSOLE_IO, CONSOLEIO_WRITE, 4, text), -XEN_EPERM);
  check_answer("reading from it", hypercall3(HYPERVISOR_CONSOLE_IO, CONSOLEIO_READ, 4, text), -XEN_EPERM);
  check_answer("hvm_op that is none", hypercall2(HYPERVISOR_HVM_OP, 99, request), -XEN_ENOSYS);
  u16 remote[4] = {0};
  check_answer("shutting down domain 0", sched_op(SCHEDOP_REMOTE_SHUTDOWN, remote), -XEN_EPERM);
}
