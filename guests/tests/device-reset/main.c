/* Status 0 and a NOTIFY reset a device: features forgotten, rings zeroed and indices back at 0, and it starts again. */
#include "test.h"
#include "device-page.h"

void test_main(void) {
  struct page_console console;
  setup();
  for (u32 round = 0; round < 3; round++) {
    console_start(&console);
    check_equal("the used index after a start", console.out.used->index, 0);
    for (u32 i = 0; i < 5; i++)
      if (!console_send(&console, "again\n"))
        failure("round %u: the request was not used", round);
    console.device->status = 0;
    hcall1(LHCALL_NOTIFY, console.device);
    check_equal("the used index after a reset", console.out.used->index, 0);
    check_equal("the available index after a reset", console.out.avail->index, 0);
    check_equal("the status after a reset", console.device->status, 0);
  }
}
