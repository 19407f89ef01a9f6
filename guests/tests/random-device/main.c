/* The random-number device on the descriptor page fills a buffer, and says how much of it. */
#include "device-page.h"
#include "test.h"

static u32 words[16];

void test_main(void) {
  struct vring ring;
  setup();
  struct page_device *device = page_device_find(VIRTIO_ID_RNG);
  page_device_start(device);
  u32 address = device->queue[0].page * PAGE_SIZE;
  vring_attach(&ring, (void *)address, device->queue[0].entries);
  ring.desc[0].address = (u32)words;
  ring.desc[0].length = sizeof words;
  ring.desc[0].flags = VIRTQ_DESC_F_WRITE;
  ring.avail->ring[0] = 0;
  barrier();
  ring.avail->index = 1;
  lguest_data.blocked_interrupts = 0;
  interrupts_on();
  hcall1(LHCALL_NOTIFY, address);
  for (u32 i = 0; i < 20000000 && ring.used->index != 1; i++)
    barrier();
  check_equal("the used index", ring.used->index, 1);
  check(ring.used->ring[0].length > 0 && ring.used->ring[0].length <= sizeof words, "%u bytes", ring.used->ring[0].length);
  u32 differing = 0;
  for (u32 i = 1; i < ring.used->ring[0].length / 4; i++)
    differing += words[i] != words[0];
  check(differing > 0, "all words are %x", words[0]);
  check_equal("interrupts", irq_counts[device->queue[0].irq], 1);
}
